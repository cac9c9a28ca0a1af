"""The candidate's mean loss on held-out rows is not worse than the champion's by more than the margin."""

from __future__ import annotations

from monitor.domain.checks.comparison import Comparison
from monitor.domain.gate import MIN_ROWS, Check, Finding


def not_inferior(seen: Comparison, margin: float, *, name: str = "loss", where: str = "held-out loss") -> Check:
    """On the means alone, without a test: fresher rows at no loss are worth having.

    Undecided below 30 rows. A loss of zero of the champion passes only a candidate that is perfect, too; NaN fails.
    """
    candidate, champion = seen.mean_losses()
    if seen.rows < MIN_ROWS:
        return Check(
            name=name,
            finding=Finding.UNDECIDED,
            rows=seen.rows,
            detail=f"only {seen.rows} rows for the {where} are new to the champion, need {MIN_ROWS}",
        )
    limit = champion * (1.0 + margin)
    passed = candidate <= limit
    return Check(
        name=name,
        finding=Finding.PASSED if passed else Finding.FAILED,
        candidate=candidate,
        champion=champion,
        limit=limit,
        rows=seen.rows,
        detail=f"{where} {candidate:.4g} against the champion's {champion:.4g} on {seen.rows} rows: "
        f"{'not worse' if passed else 'worse'} by more than {margin:.0%}",
    )

"""Under the rule `strict` a candidate is promoted only when it is proven to be better, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from monitor.domain.checks.comparison import Array, Comparison
from monitor.domain.checks.segments import segments_of, worst_first
from monitor.domain.gate import MIN_ROWS, Check, Finding
from monitor.stats.sequential.bets import Duel

PROOF = 20.0  # wealth: a chance of error of at most 5%


def proven(seen: Comparison, margin: float, *, candidates: int) -> Check:
    """Passed when who bets on the candidate, with the margin as a start, reaches 20 for each of the `candidates`.

    The best of several is chosen by the same rows: hence the higher bar. Failed when who bets against it reaches 20,
    undecided otherwise. The rows of a batch are one observation, and batches of fewer than 30 rows are joined to the
    next: so it takes eight batches at least.
    """
    duel = _duel(seen, seen.gains(margin))
    bar = PROOF * candidates
    candidate, champion = seen.mean_losses() if seen.rows else (None, None)
    if duel.better >= bar:
        finding, said = Finding.PASSED, f"proven not to be worse by more than {margin:.0%}"
    elif duel.worse >= PROOF:
        finding, said = Finding.FAILED, f"proven to be worse (evidence {duel.worse:.3g} of {PROOF:g})"
    else:
        finding, said = Finding.UNDECIDED, "not proven either way"
    means = "" if candidate is None else f"held-out loss {candidate:.4g} against the champion's {champion:.4g}; "
    return Check(
        name="proof",
        finding=finding,
        candidate=duel.better,
        limit=bar,
        rows=seen.rows,
        detail=f"{means}{said}: evidence {duel.better:.3g} of {bar:g} after {duel.blocks} batches",
    )


def proven_per_segment(seen: Comparison, margin: float) -> list[Check]:
    """Failed when it is proven, with the chance of error shared by all segments, that one is worse."""
    found = segments_of(seen)
    checks = []
    for segment in found:
        part, bar = seen.at(segment.rows), PROOF * len(found)
        duel = _duel(part, part.gains(margin))
        candidate, champion = part.mean_losses()
        failed = duel.worse >= bar
        checks.append(
            Check(
                name=f"segment {segment.name}",
                finding=Finding.FAILED if failed else Finding.PASSED,
                candidate=candidate,
                champion=champion,
                limit=champion * (1.0 + margin),
                rows=part.rows,
                detail=f"{segment.name} {'proven' if failed else 'not proven'} to be worse by more than {margin:.0%}: "
                f"evidence {duel.worse:.3g} of {bar:g} after {duel.blocks} batches",
            )
        )
    return worst_first(checks)


def _duel(seen: Comparison, gains: Array) -> Duel:
    duel = Duel()
    for block in _blocks(seen, gains):
        duel = duel.after(block)
    return duel


def _blocks(seen: Comparison, gains: Array) -> Iterator[Array]:
    """The gains of each batch; a rest of fewer than 30 rows at the end is left out."""
    start = 0
    ends = np.flatnonzero(np.diff(seen.batches, append=-1) != 0) + 1
    for end in ends.tolist():
        if end - start >= MIN_ROWS:
            yield gains[start:end]
            start = end

"""No segment pays for the others: in none is the candidate surely worse than the margin allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.domain.checks.comparison import Comparison, Mask
from monitor.domain.gate import MIN_ROWS, Check, Finding
from monitor.stats.paired import p_above_zero

LEVEL = 0.05  # chance that a candidate that is just as allowed everywhere is refused for any segment
_MOST_SHOWN = 50
_POOL = "all others"


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """`name` is `column=level`. Levels with fewer than 30 rows are one segment together."""

    name: str
    rows: Mask


def segments_of(seen: Comparison) -> list[Segment]:
    """Those with at least 30 rows, by column."""
    return [
        segment for column in seen.segments for segment in _of_column(seen, column) if segment.rows.sum() >= MIN_ROWS
    ]


def _of_column(seen: Comparison, column: str) -> Iterator[Segment]:
    levels, codes = np.unique(seen.segments[column].astype(str), return_inverse=True)
    counts = np.bincount(codes, minlength=len(levels))
    for code in np.flatnonzero(counts >= MIN_ROWS):
        yield Segment(f"{column}={levels[code]}", codes == code)
    yield Segment(f"{column}={_POOL}", (counts < MIN_ROWS)[codes])


def per_segment(seen: Comparison, margin: float) -> list[Check]:
    """A check for each segment; of more than 50, the worst 50.

    It fails when a one-sided paired t test on its rows, at 5% shared by all segments, says that the mean loss is above
    (1 + `margin`) times the champion's: a segment's few rows differ from their mean by more than any margin.
    """
    found = segments_of(seen)
    checks = [_check(segment, seen.at(segment.rows), margin, LEVEL / len(found)) for segment in found]
    return worst_first(checks)


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """At most 50, by how far the candidate's loss is above its limit; failed ones always come first."""

    def place(check: Check) -> tuple[bool, float]:
        excess = (check.candidate or 0.0) - (check.limit or 0.0)
        return check.finding is not Finding.FAILED, -excess

    return sorted(checks, key=place)[:_MOST_SHOWN]


def _check(segment: Segment, seen: Comparison, margin: float, level: float) -> Check:
    candidate, champion = seen.mean_losses()
    limit, p = champion * (1.0 + margin), p_above_zero(-seen.gains(margin))
    failed = p < level
    if failed:
        said = f"worse by more than {margin:.0%} (p {p:.1g})"
    else:
        said = "not worse" if candidate <= limit else f"above the margin, but not surely (p {p:.2g})"
    return Check(
        name=f"segment {segment.name}",
        finding=Finding.FAILED if failed else Finding.PASSED,
        candidate=candidate,
        champion=champion,
        limit=limit,
        rows=seen.rows,
        detail=f"{segment.name}: loss {candidate:.4g}, the champion's {champion:.4g}, on {seen.rows} rows: {said}",
    )

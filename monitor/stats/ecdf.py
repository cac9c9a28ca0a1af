"""The empirical distribution of a numeric reference column, as cumulative counts at its own values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.stats.merge_count import Counts, count_at

Ranks = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

MAX_POINTS = 10_000  # a longer reference is kept at equal steps of probability: 1e-4


@dataclass(frozen=True, slots=True)
class Ecdf:
    """Sorted distinct `points` and how many of the `n` reference values lie below and up to each.

    Infinite values are points like any other (−inf first, +inf last). `complete` says that every distinct reference
    value is a point; otherwise whatever follows is exact at the points and known to within 1/MAX_POINTS between.
    `mid_ranks`: u in [0, 1] of a value at each point (m), and of one in each gap (m + 1, the outer ones included). A
    value outside the range of the reference has u = 0 or 1.
    """

    points: npt.NDArray[np.float64]
    below: Counts
    upto: Counts
    n: int
    complete: bool
    mid_ranks: Ranks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mid_ranks", _mid_ranks(self.below, self.upto, self.n))

    @classmethod
    def of_sorted(cls, values: npt.NDArray[np.float64], max_points: int = MAX_POINTS) -> Ecdf:
        """`values` sorted, without NaN; may be empty."""
        if values.size == 0:
            none = np.zeros(0, dtype=np.int64)
            return cls(values, none, none, 0, True)
        last_of_run = np.append((values[1:] != values[:-1]).nonzero()[0], values.size - 1)
        complete = last_of_run.size <= max_points
        if complete:
            points, upto = values[last_of_run], last_of_run + 1
            return cls(points, np.concatenate(([0], upto[:-1])), upto, int(values.size), True)
        steps = np.linspace(0, values.size - 1, max_points).round().astype(np.int64)
        points = np.unique(values[steps])
        return cls(points, *count_at(points, values), int(values.size), False)

    @property
    def has_infinities(self) -> bool:
        return self.points.size > 0 and not bool(np.isfinite(self.points[[0, -1]]).all())


def _mid_ranks(below: Counts, upto: Counts, n: int) -> Ranks:
    at_point = (below + upto) / (2 * n)
    in_gap = np.empty(upto.size + 1)
    in_gap[0], in_gap[-1] = 0.0, 1.0
    in_gap[1:-1] = (upto[:-1] + below[1:]) / (2 * n)
    return at_point, in_gap


def mean_score(
    at_point: npt.NDArray[np.float64], in_gap: npt.NDArray[np.float64], below: Counts, upto: Counts, n: int
) -> float:
    """Mean over `n` > 0 values, given by their counts, of a score known at every point and in every gap.

    By summation by parts, so that neither the counts per point nor those per gap are ever formed:
    Σ_i upto_i (at_i − gap_{i+1}) + below_i (gap_i − at_i) + n·gap_m.
    """
    if below is upto:  # no value at any point
        total = upto @ (in_gap[:-1] - in_gap[1:])
    else:
        total = upto @ (at_point - in_gap[1:]) + below @ (in_gap[:-1] - at_point)
    return float(total) / n + float(in_gap[-1])

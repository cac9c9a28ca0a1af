"""Quantiles of a current sample, as far as the points of the reference tell them, and how far they moved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.result import UNMEASURED, Result

WATCHED = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def quantiles(
    points: npt.NDArray[np.float64], upto: npt.NDArray[np.int64], n: int, at: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Smallest point p with F(p) ≥ q for each q in `at`; the last point where F stays below q there.

    For counts of the sample that the points are of, this is numpy's method "inverted_cdf"; for another sample it is
    too high by at most one gap between points, and cannot leave their range.
    """
    place = upto.searchsorted(np.ceil(at * n - 1e-9), side="left")
    return points[np.minimum(place, points.size - 1)]


def quantile_shift(ref: NumericReference, cur: NumericProfile) -> Result:
    """Largest move among the 5, 25, 50, 75 and 95% quantiles, in the unit of the column and with its sign.

    The effect is in reference standard deviations. See `quantiles` for how exact it is.
    """
    if ref.n == 0 or cur.n == 0:
        return UNMEASURED
    points = ref.ecdf.points
    before = quantiles(points, ref.ecdf.upto, ref.n, WATCHED)
    now = quantiles(points, cur.upto, cur.n, WATCHED)
    if not (np.isfinite(before).all() and np.isfinite(now).all()):
        return UNMEASURED
    with np.errstate(over="ignore"):
        moves = now - before
    largest = float(moves[np.argmax(np.abs(moves))])
    if not np.isfinite(largest):
        return UNMEASURED
    return Result(largest, None, ref.finite.in_sd(largest))

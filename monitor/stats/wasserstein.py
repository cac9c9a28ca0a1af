"""Wasserstein-1 distance from cumulative counts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.result import UNMEASURED, Result


def wasserstein(ref: NumericReference, cur: NumericProfile) -> Result:
    """∫ |F_ref − F_cur| over the finite values, in the unit of the column; the effect is in reference sd.

    Exact when every current value within the reference's range equals a point of a complete reference: values beyond
    the range are accounted for by their summed distance to it. Otherwise values inside a gap between two points count
    as spread evenly over it, which is off by at most the gap's width times the share of the values in it. Infinite
    values are left out; an overflow is not measured. Constant reference: the effect is 0 or infinite.
    """
    n_ref, n_cur = ref.finite.n, cur.moments.n
    if n_ref == 0 or n_cur == 0:
        return UNMEASURED
    inner = slice(int(ref.negative_infinities > 0), ref.ecdf.points.size - int(ref.positive_infinities > 0))
    points = ref.ecdf.points[inner]
    at_left = (ref.ecdf.upto[inner] - ref.negative_infinities) / n_ref
    at_left -= (cur.upto[inner] - cur.negative_infinities) / n_cur
    at_right = (ref.ecdf.below[inner] - ref.negative_infinities) / n_ref
    at_right -= (cur.below[inner] - cur.negative_infinities) / n_cur
    with np.errstate(over="ignore", invalid="ignore"):
        distance = float(np.diff(points) @ _mean_distance(at_left[:-1], at_right[1:])) + cur.outside / n_cur
    if not math.isfinite(distance):
        return UNMEASURED
    return Result(distance, None, ref.finite.in_sd(distance))


def _mean_distance(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean of |f| over an interval on which f goes straight from `left` to `right`."""
    size = np.abs(left) + np.abs(right)
    crossing = left * right < 0
    mean = size / 2
    mean[crossing] = (left[crossing] ** 2 + right[crossing] ** 2) / (2 * size[crossing])
    return mean

"""How many of many sorted values lie below, and up to, each of some sorted points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

_LOPSIDED = 8  # beyond this ratio of lengths a binary search per item beats walking along both


def count_at(points: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> tuple[Counts, Counts]:
    """Return (below, upto): per point, how many values are < it and ≤ it.

    Both arrays sorted, `points` distinct, neither holding NaN. `below` and `upto` are the same array when no value
    equals a point. Three ways, all exact: a stable sort of the two runs one after the other is a linear merge (and
    several times cheaper than as many binary searches); very different lengths search the longer for the shorter.
    """
    if points.size == 0 or values.size == 0:
        nothing = np.zeros(points.size, dtype=np.int64)
        return nothing, nothing
    if values.size * _LOPSIDED < points.size:
        return _search_points(points, values)
    if values.size > points.size * _LOPSIDED:
        below = values.searchsorted(points)
    else:
        order = np.concatenate((points, values)).argsort(kind="stable")
        below = (order < points.size).nonzero()[0] - np.arange(points.size)
    return below, _upto(points, values, below)


def _upto(points: npt.NDArray[np.float64], values: npt.NDArray[np.float64], below: Counts) -> Counts:
    """Search from the right only for the points that some value equals: few for continuous values."""
    following = values.take(below, mode="clip")  # the first value that is not below the point, if there is one
    equal = (following == points).nonzero()[0]
    if equal.size == 0:
        return below
    upto = below.copy()
    upto[equal] = values.searchsorted(points[equal], side="right")
    return upto


def _search_points(points: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> tuple[Counts, Counts]:
    first_above = points.searchsorted(values, side="right")  # the value counts as below from this point on
    below = np.bincount(first_above, minlength=points.size + 1)[: points.size].cumsum()
    return below, _upto(points, values, below)

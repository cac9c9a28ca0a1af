"""Counting many values between the sorted points of a reference, without sorting the values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.stats.merge_count import Counts, count_at

Values = npt.NDArray[np.float64]

_CELLS_PER_POINT = 4
_MARGIN = 200  # one point in so many may lie beyond the cells on either side: outliers must not widen them
_STEPS = (1, 2, 3, 4)  # halvings that find the place among 1, 3, 7, 15 points of a cell
_CROWDED = 0.05  # share of points in cells too full for the halvings chosen; their values are searched one by one
_TOO_CROWDED = 0.3  # beyond this share sorting the values is cheaper
_NONE = np.zeros(0, dtype=np.intp)
_BLOCK = 16_384  # values at a time: what is computed of them stays in the processor's cache


@dataclass(frozen=True, slots=True)
class PointIndex:
    """Equal cells over the range of the points, each with the place of its first point: `start` (cells).

    Negative, −1 − place, in a crowded cell, which holds more points than the halvings tell apart.

    The cell of a number is a monotone function of it, rounding included. So a point in a lower cell is below the value
    and one in a higher cell is above, whatever the rounding; within the cell a few halvings decide. `steps` 0: the
    points are too unevenly spaced for this.
    """

    points: Values  # (m,) and then +inf as often as a halving may look beyond the last
    start: npt.NDArray[np.int16 | np.int32]  # there are many cells
    low: float
    scale: float
    steps: int
    any_crowded: bool

    @classmethod
    def of(cls, points: Values) -> PointIndex:
        """`points` (m,) sorted, distinct, without NaN."""
        cells = max(_CELLS_PER_POINT * points.size, 1)
        low, scale = _range(points, cells)
        of_points = _cell(points, low, scale, cells)
        held = np.bincount(of_points, minlength=cells)
        start = np.concatenate(([0], np.cumsum(held[:-1]))).astype(np.int16 if points.size < 2**15 else np.int32)
        steps = next((k for k in _STEPS if _share(held, k) <= (_CROWDED if k < _STEPS[-1] else _TOO_CROWDED)), 0)
        crowded = held >= 2**steps
        padded = np.concatenate((points, np.full(2**steps, np.inf)))
        return cls(padded, np.where(crowded, -1 - start, start), low, scale, steps, bool(crowded.any()))

    def count(self, values: Values) -> tuple[Counts, Counts]:
        """As `count_at`, for `values` (n,) without NaN in any order."""
        size = self.points.size - 2**self.steps
        if self.steps == 0:
            return count_at(self.points[:size], np.sort(values))
        upto, equal = np.zeros(size + 1, dtype=np.int64), np.zeros(size + 1, dtype=np.int64)
        for begin in range(0, values.size, _BLOCK):
            block = values[begin : begin + _BLOCK]
            place = self._first_not_below(block)
            upto += np.bincount(place, minlength=size + 1)[: size + 1]
            same = self.points.take(place, mode="clip") == block
            if same.any():
                equal += np.bincount(place[same], minlength=size + 1)[: size + 1]
        upto = upto[:size].cumsum()
        equal = equal[:size]
        return (upto - equal if equal.any() else upto), upto

    def _first_not_below(self, block: Values) -> npt.NDArray[np.int64]:
        """Per value the place of the first point ≥ it; m (or a place in the padding) when there is none."""
        cell = _cell(block, self.low, self.scale, self.start.size)
        place = self.start.take(cell, mode="clip").astype(np.int64)
        among = (place < 0).nonzero()[0] if self.any_crowded else _NONE
        place[among] = 0  # any will do: these are searched
        for exponent in range(self.steps - 1, -1, -1):
            half = 2**exponent
            below = self.points.take(place + (half - 1), mode="clip") < block
            place += below * half if half > 1 else below
        if among.size:
            place[among] = self.points.searchsorted(block[among])
        return place


def _share(held: Counts, steps: int) -> float:
    """Of the points, how many are in cells with more points than so many halvings tell apart."""
    return float(held[held >= 2**steps].sum()) / max(int(held.sum()), 1)


def _range(points: Values, cells: int) -> tuple[float, float]:
    """Lower end of the cells and cells per unit; 0, which puts everything into one cell, without a usable width."""
    outside = points.size // _MARGIN
    finite = points[np.isfinite(points)]
    if finite.size <= 2 * outside + 1:
        return 0.0, 0.0
    low, high = float(finite[outside]), float(finite[-1 - outside])
    with np.errstate(over="ignore", divide="ignore"):
        scale = float(np.float64(cells) / np.float64(high - low))
    return (low, scale) if 0.0 < scale < np.inf else (0.0, 0.0)


def _cell(values: Values, low: float, scale: float, cells: int) -> npt.NDArray[np.int64]:
    if scale == 0.0:
        return np.zeros(values.size, dtype=np.int64)
    with np.errstate(over="ignore"):
        scaled = values - low
        scaled *= scale
    np.maximum(scaled, 0.0, out=scaled)
    np.minimum(scaled, cells - 1, out=scaled)
    return scaled.astype(np.int64)

"""The last values of every stream with their times, so that lags are lags in time.

A missing batch leaves a gap instead of shifting its successors; a late one finds the values that came before it in
event time. Without timestamps batches are one unit apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.stats.sequential.regression import Array, Mask

_SPANS = (7, 28)  # batches that the two lagged means look back
_KEPT = 32  # a few more than the longest span, for batches that come late
LAGS = 1 + len(_SPANS)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """In order of time: `times` (H,) in seconds, `values` (H, S) as they were learnt, NaN where a batch had none."""

    times: Array
    values: Array

    @classmethod
    def start(cls, streams: int) -> History:
        return cls(times=np.zeros(0), values=np.zeros((0, streams)))

    def interval(self) -> float | None:
        """Median time from one batch to the next, in seconds; None before there are two."""
        gaps = np.diff(self.times)
        gaps = gaps[(gaps > 0) & np.isfinite(gaps)]
        return float(np.median(gaps)) if gaps.size else None

    def lags(self, at: float, interval: float | None) -> Array:
        """Shape (S, 3): the last value before `at`, and the means over the 7 and 28 intervals before it.

        Where a span holds no value, the next longer one stands in, and the last value for all; NaN when there is none.
        """
        before = self.times < at
        values, times = self.values[before], self.times[before]
        step = interval or self.interval() or 1.0
        last = _last(values)
        means = [_mean(values[times >= at - (span + 0.5) * step]) for span in _SPANS]
        longest = np.where(np.isfinite(means[-1]), means[-1], last)
        week = np.where(np.isfinite(means[0]), means[0], longest)
        return np.stack([last, week, longest], axis=1)

    def undated(self) -> History:
        """One batch before all time, holding the means: what is known when the order of the batches means nothing."""
        return History(times=np.full(1, -np.inf), values=_mean(self.values)[None, :])

    def moved(self, streams: Mask, since: Array, level: Array) -> History:
        """As if some streams had always been at their new level: what came before `since` is shifted there.

        What came since may have been winsorised and becomes the level itself. All of shape (S,).
        """
        old = self.times[:, None] < since
        before = _mean(np.where(old, self.values, np.nan))
        shifted = np.where(old, self.values + (level - before), np.where(np.isfinite(self.values), level, np.nan))
        known = streams & np.isfinite(level) & np.isfinite(before)
        return History(times=self.times, values=np.where(known, shifted, self.values))

    def add(self, at: float, values: Array) -> History:
        """Insert a batch where its time belongs; only the newest are kept."""
        where = int(np.searchsorted(self.times, at, side="right"))
        return History(
            times=np.insert(self.times, where, at)[-_KEPT:],
            values=np.insert(self.values, where, values, axis=0)[-_KEPT:],
        )


def _mean(values: Array) -> Array:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _last(values: Array) -> Array:
    if len(values) == 0:
        return np.full(values.shape[1], np.nan)
    known = np.isfinite(values)
    newest = len(values) - 1 - np.argmax(known[::-1], axis=0)
    return np.asarray(values[newest, np.arange(values.shape[1])])

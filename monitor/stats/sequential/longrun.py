"""Long-run variance of normal scores: what wander the lags have not explained.

Scores of a well specified regression are independent. Where the wander of a column is of another kind than the lags,
or short histories bias their coefficients, scores keep a positive autocorrelation, and evidence that adds them up
would grow on ordinary days. Their variance over about ten batches, relative to that of independent scores, says by
how much; bets then pay for it: E exp(Σ(λz − vλ²/2)) ≤ 1 over such a span. What the last ten batches did counts only
later: a change must not make itself ordinary before it is found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monitor.stats.sequential.regression import Array, Mask

_RATE = 0.1  # of the exponential sum: a memory of about ten batches
_HELD_BACK = 10  # batches
_PRIOR_BATCHES = 100.0  # that the prior value 1 counts for
_SMALLEST = 1.05  # coefficients that are estimated leave a little autocorrelation even to the best of regressions
_LARGEST = 16.0  # one span, at most: a change must not teach that large spans are ordinary


@dataclass(frozen=True, slots=True, kw_only=True)
class LongRun:
    """Shape (S,): the running exponential sum, and the sum and number of its squares relative to independence."""

    running: Array
    squares: Array
    count: Array
    recent: Array  # (10, S) squares held back, oldest first; NaN where there is none

    @classmethod
    def start(cls, streams: int) -> LongRun:
        recent = np.full((_HELD_BACK, streams), np.nan)
        return cls(running=np.zeros(streams), squares=np.zeros(streams), count=np.zeros(streams), recent=recent)

    def variance(self) -> Array:
        """At least 1.05; independent scores have 1."""
        return np.maximum(_SMALLEST, (_PRIOR_BATCHES + self.squares) / (_PRIOR_BATCHES + self.count))

    def add(self, z: Array, judged: Mask) -> LongRun:
        running = np.where(judged, (1.0 - _RATE) * self.running + z, self.running)
        square = np.minimum(np.square(running) * (2.0 * _RATE - _RATE**2), _LARGEST)
        due = np.isfinite(self.recent[0])
        return LongRun(
            running=running,
            squares=self.squares + np.where(due, self.recent[0], 0.0),
            count=self.count + due,
            recent=np.concatenate([self.recent[1:], np.where(judged, square, np.nan)[None, :]]),
        )

    def forget(self, streams: Mask) -> LongRun:
        """Some streams have changed: what they did of late is no measure of the ordinary."""
        return replace(
            self,
            running=np.where(streams, 0.0, self.running),
            recent=np.where(streams, np.nan, self.recent),
        )

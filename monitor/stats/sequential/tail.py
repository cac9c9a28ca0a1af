"""How rare is the largest residual of a batch? From the normal tail, and from the tail that was actually seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from monitor.stats.sequential.regression import Array

_FEWEST = 2  # values above the threshold that a tail index needs
_KEPT = 21  # largest values that the tail is fitted to, and the threshold below them


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestValues:
    """The largest values so far, descending, at most 21, and how many there were in all."""

    largest: Array
    count: int = 0

    @classmethod
    def start(cls) -> LargestValues:
        return cls(largest=np.zeros(0))

    def add(self, value: float) -> LargestValues:
        kept = np.sort(np.append(self.largest, value))[::-1][:_KEPT]
        return LargestValues(largest=kept, count=self.count + 1)


def normal_tail(z: Array) -> Array:
    """P(Z ≥ z), elementwise."""
    return np.asarray(special.ndtr(-z))


def bonferroni_p(largest_z: float, streams: int) -> float:
    """P(max |z| ≥ largest_z) over `streams` normal scores, at most: Bonferroni, two-sided."""
    return min(1.0, 2.0 * streams * float(special.ndtr(-largest_z)))


def empirical_p(past: LargestValues, value: float) -> float:
    """Tail probability of `value` after `past`, by the Hill estimator [1]_; 1 before there is anything to go by.

    Below the fitted tail it is the plain rank. Above, P(X > x) = k/(n+1)·(x/x_k)^(−α), with the unbiased estimate
    α = (k−1)/Σ ln(x_i/x_k); the tail index is used as if known, so for few values it is approximate.

    References
    ----------
    .. [1] Hill (1975), Annals of Statistics 3(5), 1163-1174; Weissman (1978), JASA 73, 812-815.
    """
    k = min(_KEPT, past.count, len(past.largest)) - 1
    at_least = int((past.largest >= value).sum())
    rank = (at_least + 1.0) / (past.count + 1.0)
    if k < _FEWEST:
        return 1.0
    if past.largest[k] <= 0:
        return rank
    threshold = float(past.largest[k])
    if value <= threshold:
        return rank
    spacing = float(np.log(past.largest[:k] / threshold).sum())
    if spacing <= 0:
        return rank
    return min(1.0, k / (past.count + 1.0) * math.exp(-(k - 1) / spacing * math.log(value / threshold)))

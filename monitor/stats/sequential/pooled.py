"""Evidence of a change that many streams share, each by too little to tell: one more stream, made of all the others.

It is the projection of a batch's scores on the direction in which the scores before it went, an exponential mean [1]_.
While nothing changes the next scores have mean 0 given the past, however they depend on each other, and so has the
projection. After a change, in whatever streams and with whatever signs, the direction turns towards it and the
projections become positive. Their ordinary mean and dispersion are learnt by a self-starting regression of their own:
the mean is above 0 where scores keep some autocorrelation, the dispersion large where streams move together.
Shapes: S streams, K components.

References
----------
.. [1] Lorden, Pollak (2005), Annals of Statistics 33(3), 1422-1454: bets on an estimate from the past keep the promise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monitor.stats.sequential.evidence import bets, components, multiplied
from monitor.stats.sequential.longrun import LongRun
from monitor.stats.sequential.regression import Array, Mask, Regression, learn, predict

_RATE = 0.2  # of the exponential mean: a memory of about five batches
_CLIP = 3.0
_WIDE = 1e4  # prior variance of the ordinary mean
_SLIGHTEST = 0.25  # floor of the variance; independent scores have 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """What is known of the projection, and the evidence that it has risen."""

    direction: Array  # (S,) exponential mean of the scores, 0 where there were none
    regression: Regression  # of one stream, on its level alone
    longrun: LongRun  # (1,)
    detector: Array  # (1, K)

    @classmethod
    def start(cls, streams: int) -> Pooled:
        return cls(
            direction=np.zeros(streams),
            regression=Regression.start(np.full((1, 1), _WIDE)),
            longrun=LongRun.start(1),
            detector=np.zeros((1, components(two_sided=False))),
        )

    @property
    def evidence(self) -> float:
        return float(self.detector.mean())

    def add(self, z: Array, judged: Mask, longest_incident: int) -> Pooled:
        """Judge a batch's scores, clipped and 0 where not judged, then learn from them."""
        length = float(np.linalg.norm(self.direction))
        known = length > 0 and bool(judged.any())
        value = np.array([self.direction @ z / length if known else np.nan])
        one = np.ones(1)
        seen = predict(self.regression, one[:, None], value, one, _SLIGHTEST)
        score = np.clip(seen.z, -_CLIP, _CLIP)
        factor = bets(score, self.longrun.variance(), two_sided=False)
        return Pooled(
            direction=np.where(judged, (1.0 - _RATE) * self.direction + _RATE * z, self.direction),
            regression=learn(self.regression, seen, one, longest_incident)[0],
            longrun=self.longrun.add(score, seen.judged),
            detector=np.where(seen.judged[:, None], multiplied(self.detector, factor), self.detector),
        )

    def silenced(self) -> Pooled:
        """Without evidence."""
        return replace(self, detector=np.zeros_like(self.detector))

    def forget(self) -> Pooled:
        """Something has changed and is known: neither evidence nor direction of it is kept."""
        gone = np.zeros_like(self.direction)
        return replace(self.silenced(), direction=gone, longrun=self.longrun.forget(np.ones(1, dtype=bool)))

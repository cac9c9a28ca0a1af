"""Two models on the same rows, window by window: which one loses more, and how certain is that?

The difference of two losses on the same rows is free of what makes a day hard for both. Within a window neighbouring
rows depend on each other, so the difference is held against its spread between blocks of neighbours, not between rows.
The windows' evidence adds up as in `evidence`, with a fixed number of windows instead of an endless stream: with a
limit of T/α the chance of ever reaching it in T windows of equal models is at most α [1]_.

References
----------
.. [1] Shin, Ramdas, Rinaldo (2022), E-detectors, arXiv 2203.03532, theorem 2.5.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.stats.sequential.evidence import bets

Array = npt.NDArray[np.float64]

_BLOCKS = 10  # of neighbouring rows in a window
_LEAST_ROWS = 3  # of a block
_LARGEST_Z = 3.0  # no window alone proves anything, whatever its rows say


def standardised(first: Array, second: Array) -> float:
    """How surely `first` loses more on this window's rows than `second`: N(0, 1) when they are equal; within ±3.

    Both (n,), in the order of the rows. NaN for fewer than six rows; 0 when the models answer alike.
    """
    gap = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    blocks = min(_BLOCKS, len(gap) // _LEAST_ROWS)
    if blocks < 2:  # noqa: PLR2004 - a variance needs two
        return math.nan
    means = np.array([block.mean() for block in np.array_split(gap, blocks)])
    error = float(means.std(ddof=1)) / math.sqrt(blocks)
    mean = float(gap.mean())
    if error <= abs(mean) * 1e-9:  # no spread at all: equal, or different by a constant
        return math.copysign(_LARGEST_Z, mean) if mean else 0.0
    z = float(special.ndtri(special.stdtr(blocks - 1, mean / error)))
    return min(max(z, -_LARGEST_Z), _LARGEST_Z)


def evidence(z: Array) -> Array:
    """Evidence after each window, shape of `z` (T,), that from some window on the mean of z is above 0.

    NaN adds nothing. Negate `z` for the opposite.
    """
    reached = np.zeros(len(z))
    detector: Array = np.zeros(0)
    for t, value in enumerate(np.asarray(z, dtype=np.float64)):
        if math.isfinite(value):
            factor = np.exp(bets(np.array([value]), np.ones(1), two_sided=False)[0])
            detector = (1.0 + (detector if detector.size else np.zeros_like(factor))) * factor
        reached[t] = float(detector.mean()) if detector.size else 0.0
    return reached


def onset(z: Array) -> int:
    """Index of the window from which on the evidence is strongest; 0 for none."""
    gains = np.nan_to_num(np.asarray(z, dtype=np.float64)) - 0.5
    return int(np.argmax(np.cumsum(gains[::-1])[::-1])) if len(gains) else 0

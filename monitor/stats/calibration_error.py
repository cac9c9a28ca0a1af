"""How far a model's probabilities are from how often it is right."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from monitor.stats.losses import correct

_BINS = 10

Array = npt.NDArray[np.float64]


def calibration_error(scores: Array, target: npt.NDArray[np.integer]) -> float:
    """Expected calibration error of the highest probability [1]_, in 10 bins of equal width; 0..1, NaN without rows.

    `scores` (n, k), `target` (n,) codes, −1 for a class the model does not know: an error. Chance alone makes it
    positive, by about 1/√n; two models on the same rows are affected alike.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger (2017), ICML, arXiv 1706.04599, equation 3.
    """
    if len(target) == 0:
        return math.nan
    confidence, hits = scores.max(axis=1), correct(scores, target)
    bins = np.minimum((confidence * _BINS).astype(np.intp), _BINS - 1)
    gaps = np.bincount(bins, weights=hits - confidence, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(target))

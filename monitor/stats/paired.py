"""How sure it is that one of two paired numbers is the larger one on average."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]

_MIN_ROWS = 2


def p_above_zero(differences: Array) -> float:
    """One-sided p-value of the t test that the mean of `differences` (n,) is at most 0.

    Constant differences: 0 when they are positive, else 1. Fewer than two, or any that is not finite: 1.
    """
    n = differences.size
    if n < _MIN_ROWS or not np.isfinite(differences).all():
        return 1.0
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n)
    if error == 0.0:
        return 0.0 if mean > 0 else 1.0
    return float(special.stdtr(n - 1, -mean / error))

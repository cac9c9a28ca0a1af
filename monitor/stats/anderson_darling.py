"""Two-sample Anderson–Darling test from cumulative counts."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from monitor.stats.ecdf import Ecdf
from monitor.stats.groups import groups
from monitor.stats.merge_count import Counts
from monitor.stats.result import UNMEASURED, Result

_SMALL = 2.0  # where the two fits of the limit meet
_FAR = 8.0  # beyond it only the largest eigenvalue matters
_LEFT = (0.00168691, -0.0116720, 0.0347962, -0.0649821, 0.247105, 2.00012)
_RIGHT = (-0.0003146, 0.008056, -0.082433, 0.43424, -2.30695, 1.0776)


def anderson_darling(ref: Ecdf, below: Counts, upto: Counts, n: int) -> Result:
    """A² with mid-ranks (A²_akN of [1]_ for two samples), p-value from its limit [2]_.

    scipy.stats.anderson_ksamp(variant="midrank") standardises the same number, when every current value is a point of
    a complete reference; values in a gap count as tied. Its p-values are interpolated and cut off at 0.001 and 0.25,
    these are not. Effect: √(A²/(n + m)), at most about 1. All values equal: A² = 0, p = 1.

    References
    ----------
    .. [1] Scholz, Stephens (1987), Journal of the American Statistical Association 82(399), 918-924, equation 7.
    .. [2] Marsaglia, Marsaglia (2004), Journal of Statistical Software 9(2).
    """
    if ref.n == 0 or n == 0:
        return UNMEASURED
    g = groups(ref, below, upto, n)
    tied = g.ref + g.cur
    held = tied > 0
    if int(held.sum()) == 1:
        return Result(0.0, 1.0, 0.0)
    total = ref.n + n
    tied, ref_middle = tied[held], g.ref_below[held] + g.ref[held] / 2
    middle = g.ref_below[held] + g.cur_below[held] + tied / 2
    scale = middle * (total - middle) - total * tied / 4
    gap2 = (total * ref_middle - ref.n * middle) ** 2  # the same for both samples
    statistic = float((tied * gap2 / scale).sum()) * (1 / ref.n + 1 / n) / total * (total - 1) / total
    return Result(statistic, limit_p_value(statistic), math.sqrt(min(statistic / total, 1.0)))


def limit_p_value(x: float) -> float:
    """P(A² > x) of the limit Σ χ²_1/(j(j + 1)), to 2e-6; far out √3·erfc(√x), from the largest term."""
    if x <= 0.0:
        return 1.0
    if x > _FAR:
        return float(math.sqrt(3) * special.erfc(math.sqrt(x)))
    if x < _SMALL:
        poly = np.polyval(_LEFT, x)
        return float(1.0 - math.exp(-1.2337141 / x) / math.sqrt(x) * poly)
    return -math.expm1(-math.exp(float(np.polyval(_RIGHT, x))))

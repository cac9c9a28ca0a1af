"""Differences of moments."""

from __future__ import annotations

import math

from scipy import special

from monitor.stats.moments import Moments
from monitor.stats.result import UNMEASURED, Result

_MIN_ROWS = 2  # a sample variance needs two values


def welch(ref: Moments, cur: Moments) -> Result:
    """Two-sided Welch test of equal means [1]_; the effect is Glass's Δ, in reference standard deviations.

    Both constant: equal means give p = 1, unequal ones p = 0; a constant reference alone makes the effect infinite.
    Fewer than two finite values on a side, or an overflow (t would be 0 and hide the shift): not measured.

    References
    ----------
    .. [1] Welch (1947), Biometrika 34(1-2), 28-35; degrees of freedom by Satterthwaite (1946).
    """
    if min(ref.n, cur.n) < _MIN_ROWS or not (ref.is_finite and cur.is_finite):
        return UNMEASURED
    gap = cur.mean - ref.mean
    v_ref, v_cur = ref.variance / ref.n, cur.variance / cur.n
    error2 = v_ref + v_cur
    effect = ref.in_sd(gap)
    if error2 == 0.0:
        return Result(effect, 0.0 if gap else 1.0, effect)
    t = gap / math.sqrt(error2)
    share = v_ref / error2  # in [0, 1]; squaring the variances would underflow for tiny units
    freedom = 1.0 / (share**2 / (ref.n - 1) + (1.0 - share) ** 2 / (cur.n - 1))
    return Result(t, 2.0 * float(special.stdtr(freedom, -abs(t))), effect)


def sd_ratio(ref: Moments, cur: Moments) -> Result:
    """Current over reference standard deviation; the effect is its logarithm. No p-value: an F test would take every
    heavy tail for drift. A constant reference, fewer than two values or an overflow: not measured.
    """
    if min(ref.n, cur.n) < _MIN_ROWS or not (ref.is_finite and cur.is_finite) or ref.sd == 0.0:
        return UNMEASURED
    ratio = cur.sd / ref.sd
    return Result(ratio, None, math.log(ratio) if ratio > 0 else -math.inf)

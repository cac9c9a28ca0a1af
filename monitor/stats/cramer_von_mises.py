"""Two-sample Cramér–von Mises test from cumulative counts."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from monitor.stats.ecdf import Ecdf
from monitor.stats.groups import groups
from monitor.stats.merge_count import Counts
from monitor.stats.result import UNMEASURED, Result

_CERTAIN = 0.003  # below this standardised statistic: p = 1


def cramer_von_mises(ref: Ecdf, below: Counts, upto: Counts, n: int) -> Result:
    """T from the mid-ranks of both samples in the pooled one [1]_, p-value from its limit, standardised [2]_.

    As scipy.stats.cramervonmises_2samp(method="asymptotic"), when `ref` is complete and current values that no
    reference value shares are distinct; ties among those are not known and count as untied. Effect: the root mean
    square distance of the two distribution functions over the pooled values, √(T(n + m)/(nm)), at most 1.

    References
    ----------
    .. [1] Conover (1999), Practical Nonparametric Statistics, section 6.3.
    .. [2] Anderson (1962), Annals of Mathematical Statistics 33(3), 1148-1159.
    """
    if ref.n == 0 or n == 0:
        return UNMEASURED
    g = groups(ref, below, upto, n)
    tied_ref, tied_cur = g.tied(g.ref), g.tied(g.cur)
    of_ref = float((g.ref * (g.cur_below + g.cur / 2) ** 2 + (tied_ref**3 - tied_ref) / 12).sum())
    of_cur = float((g.cur * (g.ref_below + g.ref / 2) ** 2 + (tied_cur**3 - tied_cur) / 12).sum())
    product, total = ref.n * n, ref.n + n
    statistic = (ref.n * of_ref + n * of_cur) / (product * total) - (4 * product - 1) / (6 * total)
    expected = (1 + 1 / total) / 6
    variance = float(total + 1) * (4 * product * total - 3 * (ref.n**2 + n**2) - 2 * product)
    variance /= 45 * total**2 * 4 * product
    standardised = 1 / 6 + (statistic - expected) / math.sqrt(45 * variance) if variance > 0 else 0.0
    effect = math.sqrt(min(max(statistic * total / product, 0.0), 1.0))
    return Result(statistic, _p_value(standardised), effect)


def _p_value(x: float) -> float:
    """P(ω² > x) of the limit: 1 − Anderson and Darling's (1952) series in Bessel functions."""
    if x < _CERTAIN:
        return 1.0
    k = np.arange(20)
    y = 4 * k + 1
    q = y**2 / (16 * x)
    weights = np.exp(special.gammaln(k + 0.5) - special.gammaln(k + 1)) / (math.pi**1.5 * math.sqrt(x))
    below = float((weights * np.sqrt(y) * np.exp(-2 * q) * special.kve(0.25, q)).sum())
    return min(max(1.0 - below, 0.0), 1.0)

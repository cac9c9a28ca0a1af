"""G test (likelihood ratio) of two samples of counts."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from monitor.stats.chi2 import MIN_EXPECTED, pool_rare
from monitor.stats.merge_count import Counts
from monitor.stats.result import UNMEASURED, Result


def g_test(ref: Counts, cur: Counts, min_expected: float = MIN_EXPECTED) -> Result:
    """G = 2 Σ O·ln(O/E) of the 2×k table, without Williams' correction; rare levels pooled as in `chi2`.

    As scipy.stats.chi2_contingency(lambda_="log-likelihood", correction=False). Effect: √(G/(2n·ln 2)), the root of
    the information in bits that a row's level carries about its sample, in [0, 1]. One level only: G = 0, p = 1.
    """
    n_ref, n_cur = int(ref.sum()), int(cur.sum())
    if n_ref == 0 or n_cur == 0:
        return UNMEASURED
    ref, cur, pooled = pool_rare(ref, cur, min_expected)
    total = n_ref + n_cur
    observed = np.stack([ref, cur]).astype(np.float64)
    expected = np.outer([n_ref / total, n_cur / total], ref + cur)
    statistic = max(2.0 * float(special.xlogy(observed, observed / expected).sum()), 0.0)
    p_value = float(special.chdtrc(ref.size - 1, statistic)) if ref.size > 1 else 1.0
    effect = math.sqrt(min(statistic / (2 * total * math.log(2)), 1.0))
    return Result(statistic, p_value, effect, f"{pooled} rare levels pooled" if pooled else "")

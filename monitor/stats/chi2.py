"""χ² test of two samples of counts."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from monitor.stats.merge_count import Counts
from monitor.stats.result import UNMEASURED, Result

MIN_EXPECTED = 1.0  # rarer levels are pooled: Cochran (1954), Biometrics 10(4): no expectation below 1


def chi2(ref: Counts, cur: Counts, min_expected: float = MIN_EXPECTED) -> Result:
    """Pearson's χ² of homogeneity of two rows of counts over the same levels, without continuity correction.

    Both samples carry error: the reference is not taken for the truth, which would be a false-alarm bug. Levels whose
    smaller expectation is below `min_expected` are pooled into one; `detail` says how many. Effect: Cramér's V, which
    for two rows is √(χ²/n) in [0, 1]. One level only: χ² = 0, p = 1.
    """
    n_ref, n_cur = int(ref.sum()), int(cur.sum())
    if n_ref == 0 or n_cur == 0:
        return UNMEASURED
    ref, cur, pooled = pool_rare(ref, cur, min_expected)
    statistic = _statistic(ref.astype(np.float64), cur.astype(np.float64), n_ref, n_cur)
    p_value = float(special.chdtrc(ref.size - 1, statistic)) if ref.size > 1 else 1.0
    effect = math.sqrt(min(statistic / (n_ref + n_cur), 1.0))
    return Result(statistic, p_value, effect, f"{pooled} rare levels pooled" if pooled else "")


def cramers_v(ref: Counts, cur: Counts) -> Result:
    """Cramér's V of the 2×k table of all levels, none pooled, without bias correction: √(χ²/n), in [0, 1]."""
    v = chi2(ref, cur, min_expected=0.0).effect
    return Result(v, None, v)


def pool_rare(ref: Counts, cur: Counts, min_expected: float) -> tuple[Counts, Counts, int]:
    """Drop levels that neither sample holds, pool those with a small expectation; also how many were pooled.

    When the pool itself stays too small it joins the rarest level that is kept.
    """
    total = ref + cur
    n_ref, n_cur = int(ref.sum()), int(cur.sum())
    smaller = min(n_ref, n_cur) / (n_ref + n_cur)
    rare = (total * smaller < min_expected) & (total > 0)
    kept = (total > 0) & ~rare
    count = int(rare.sum())
    if count == 0:
        return ref[kept], cur[kept], 0
    pool_ref, pool_cur = int(ref[rare].sum()), int(cur[rare].sum())
    ref, cur = ref[kept], cur[kept]
    if ref.size and (pool_ref + pool_cur) * smaller < min_expected:
        rarest = int(np.argmin(ref + cur))
        ref[rarest] += pool_ref
        cur[rarest] += pool_cur
        return ref, cur, count
    return np.append(ref, pool_ref), np.append(cur, pool_cur), count


def _statistic(
    ref: np.ndarray[tuple[int], np.dtype[np.float64]],
    cur: np.ndarray[tuple[int], np.dtype[np.float64]],
    n_ref: int,
    n_cur: int,
) -> float:
    share = n_cur / (n_ref + n_cur)
    expected = (ref + cur) * share
    gap2 = (cur - expected) ** 2  # the same in both rows
    return float((gap2 / expected + gap2 / (ref + cur - expected)).sum())

"""Test of two proportions."""

from __future__ import annotations

import math

from monitor.stats.normal import two_sided_p_value
from monitor.stats.result import UNMEASURED, Result

_MIN_EXPECTED = 5  # hits and misses in each sample, for the normal approximation


def two_proportions(hits_ref: int, n_ref: int, hits_cur: int, n_cur: int) -> Result:
    """Difference of two shares, current − reference, with the pooled z test (χ² of the 2×2 table, its root).

    The normal approximation needs about five hits and five misses expected in each sample; below that Fisher's exact
    test takes its place, and `detail` says so. Effect: the difference. No hits at all, or only hits: p = 1.
    """
    if n_ref == 0 or n_cur == 0:
        return UNMEASURED
    gap = hits_cur / n_cur - hits_ref / n_ref
    pooled = (hits_ref + hits_cur) / (n_ref + n_cur)
    if hits_ref + hits_cur in (0, n_ref + n_cur):
        return Result(gap, 1.0, gap)
    if min(n_ref, n_cur) * min(pooled, 1 - pooled) < _MIN_EXPECTED:
        return Result(gap, fisher_p_value(hits_ref, n_ref, hits_cur, n_cur), gap, "Fisher's exact test")
    return Result(gap, two_sided_p_value(gap, pooled * (1 - pooled) * (1 / n_ref + 1 / n_cur)), gap)


def fisher(hits_ref: int, n_ref: int, hits_cur: int, n_cur: int) -> Result:
    """Fisher's exact test; statistic and effect are the difference of the shares, current − reference."""
    if n_ref == 0 or n_cur == 0:
        return UNMEASURED
    gap = hits_cur / n_cur - hits_ref / n_ref
    return Result(gap, fisher_p_value(hits_ref, n_ref, hits_cur, n_cur), gap)


def fisher_p_value(hits_ref: int, n_ref: int, hits_cur: int, n_cur: int) -> float:
    """Two-sided: the total probability of all 2×2 tables with these margins that are no likelier than this one."""
    hits, total = hits_ref + hits_cur, n_ref + n_cur
    low, high = max(0, hits - n_ref), min(hits, n_cur)
    constant = _log_choose(total, hits)
    logs = [_log_choose(n_cur, k) + _log_choose(n_ref, hits - k) - constant for k in range(low, high + 1)]
    seen = logs[hits_cur - low] + 1e-7  # tables as likely as this one, up to rounding, count in
    return min(1.0, math.fsum(math.exp(x) for x in logs if x <= seen))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

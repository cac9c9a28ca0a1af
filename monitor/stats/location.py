"""Where the current values lie within the reference, and how widely: effect sizes on the AUC scale, with tests."""

from __future__ import annotations

import numpy as np

from monitor.stats.ecdf import Ecdf, mean_score
from monitor.stats.merge_count import Counts
from monitor.stats.normal import two_sided_p_value
from monitor.stats.result import UNMEASURED, Result


def location(ref: Ecdf, below: Counts, upto: Counts, n: int) -> Result:
    """a = mean(u) − ½ with u the mid-rank of a current value in the reference; a + ½ is the AUC.

    A normal shift of 0.1, 0.2, 0.5 standard deviations is a = 0.028, 0.056, 0.138. p-value: normal approximation
    of the Mann–Whitney U with the correction for ties and without one for continuity [1]_. Ties among current values
    that no reference value shares are not known, which makes the p-value slightly too large. All values equal: p = 1.

    References
    ----------
    .. [1] Mann, Whitney (1947), Annals of Mathematical Statistics 18(1), 50-60; ties: Lehmann (1975), Nonparametrics.
    """
    if ref.n == 0 or n == 0:
        return UNMEASURED
    a = mean_score(*ref.mid_ranks, below, upto, n) - 0.5
    total = ref.n + n
    tied = ((ref.upto - ref.below) + (upto - below)).astype(np.float64)
    ties = float((tied * tied * tied - tied).sum())
    variance = (total + 1 - ties / max(total * (total - 1), 1)) / (12.0 * ref.n * n)
    return Result(a, two_sided_p_value(a, variance), a)


def spread(ref: Ecdf, below: Counts, upto: Counts, n: int) -> Result:
    """b = mean|2u − 1| − its mean in the reference (½ without ties), u as in `location`; positive: more spread out.

    Doubling the standard deviation of a normal column is b = +0.205, halving it −0.205. p-value: the scores |2u − 1|
    of both samples compared by the normal approximation of their permutation distribution. The reference's ranks are
    its own, which to first order costs exactly the reference's share of the variance of b.
    """
    if ref.n == 0 or n == 0:
        return UNMEASURED
    at_point, in_gap = (np.abs(2 * u - 1) for u in ref.mid_ranks)
    weights = ref.upto - ref.below
    kept = float(weights.sum())  # fewer than n when the reference is not complete
    centre = float(weights @ at_point) / kept
    b = mean_score(at_point, in_gap, below, upto, n) - centre
    ref_squares = float(weights @ (at_point - centre) ** 2) / kept * ref.n
    cur_squares = mean_score((at_point - centre) ** 2, (in_gap - centre) ** 2, below, upto, n) * n
    return Result(b, two_sided_p_value(b, _permutation_variance(b, ref_squares + cur_squares, ref.n, n)), b)


def _permutation_variance(gap: float, squares: float, n_ref: int, n_cur: int) -> float:
    """Of a difference of two means; `squares` around the reference's mean, `gap` the difference of the means."""
    total = n_ref + n_cur
    pooled = squares - (n_cur * gap) ** 2 / total
    return max(pooled, 0.0) / max(total - 1, 1) * (1 / n_ref + 1 / n_cur)

"""How well a score ranks the positive rows above the others."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from monitor.stats.ranks import mid_ranks

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def roc_auc(score: Array, positive: Flags) -> tuple[float, float]:
    """Area under the ROC curve, ties counting half, and its standard error [1]_; both arguments (n,).

    NaN without both kinds of rows; the error is NaN with fewer than two rows of either kind.

    References
    ----------
    .. [1] DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44(3), 837-845, by ranks as in Sun, Xu (2014), IEEE
       Signal Processing Letters 21(11), 1389-1393.
    """
    n_pos = int(positive.sum())
    n_neg = positive.size - n_pos
    if n_pos == 0 or n_neg == 0:
        return math.nan, math.nan
    ranks = mid_ranks(score)
    above = (ranks[positive] - mid_ranks(score[positive])) / n_neg  # per positive: share of negatives below it
    below = 1 - (ranks[~positive] - mid_ranks(score[~positive])) / n_pos
    auc = float(above.mean())
    if min(n_pos, n_neg) == 1:
        return auc, math.nan
    return auc, math.sqrt(float(above.var(ddof=1)) / n_pos + float(below.var(ddof=1)) / n_neg)


def average_precision(score: Array, positive: Flags) -> tuple[float, float]:
    """Σ (R_k − R_{k−1})·P_k over the distinct scores, from the highest, and its standard error; both arguments (n,).

    The error is that of a proportion among the positive rows [1]_: a rough one, on the safe side for rare positives.
    NaN without positive rows.

    References
    ----------
    .. [1] Boyd, Eng, Page (2013), ECML PKDD, 451-466: binomial interval.
    """
    n_pos = int(positive.sum())
    if n_pos == 0:
        return math.nan, math.nan
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)  # last row of each distinct score
    hits = np.cumsum(positive[order])[ends]
    average = float(np.sum(np.diff(hits, prepend=0) * hits / (ends + 1)) / n_pos)
    return average, math.sqrt(max(average * (1 - average), 0.0) / n_pos)

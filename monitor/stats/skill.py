"""How much of what a model could get wrong it gets right: 0 when the labels might as well belong to other rows.

A loss alone does not say whether labels can be trusted: it grows with the spread of the labels and with everything
else that makes a task harder. What it would be if the same labels were dealt out to the rows at random grows with
them. So skill is 1 − loss / loss of labels dealt at random, on whatever scale labels and losses are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.stats.losses import CLIP

Array = npt.NDArray[np.float64]


def skill(loss: float, at_random: float) -> float:
    """1 for a model without error, 0 for labels that have nothing to do with the rows, less for worse than that.

    NaN when labels dealt at random cost nothing (all predictions and labels are the same) and without rows.
    """
    return 1.0 - loss / at_random if at_random > 0 else float("nan")


def class_spread(target: npt.NDArray[np.integer]) -> float:
    """Share of the n² pairs of labels that differ, (n,) codes: 0 when all are of one class; NaN without rows."""
    if not len(target):
        return float("nan")
    share = np.unique(target, return_counts=True)[1] / len(target)
    return 1.0 - float(share @ share)


def value_spread(target: Array) -> float:
    """Mean difference of the n² pairs of labels, (n,): 0 when all are equal; NaN without rows."""
    return absolute_error_at_random(target, target)


def log_loss_at_random(scores: Array, target: npt.NDArray[np.integer]) -> float:
    """Mean log loss over all n² pairs of a row's scores and a label; `scores` (n, k), `target` (n,) codes, −1 unknown.

    NaN without rows.
    """
    if not len(target):
        return float("nan")
    share = np.bincount(target[target >= 0], minlength=scores.shape[1]) / len(target)
    unknown = 1.0 - float(share.sum())
    per_class = -np.log(np.clip(scores, CLIP, 1.0)).mean(axis=0)
    return float(per_class @ share) - unknown * float(np.log(CLIP))


def absolute_error_at_random(predicted: Array, target: Array) -> float:
    """Mean |prediction − label| over all n² pairs, both (n,), in O(n log n); NaN without rows."""
    n = len(target)
    if not n:
        return float("nan")
    labels = np.sort(target)
    below = np.searchsorted(labels, predicted)
    sums = np.concatenate([[0.0], np.cumsum(labels)])
    gaps = predicted * (2 * below - n) + sums[-1] - 2 * sums[below]
    return float(gaps.mean() / n)

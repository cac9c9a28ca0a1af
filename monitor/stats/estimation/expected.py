"""What a metric is expected to be when only the probability of each label is known, not the label."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.stats.losses import CLIP, predicted_classes

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """`value`, and in `slope` (n, k) its derivative by the probability that row i is of class k.

    The slope also says how far one label more or less moves the metric. NaN, with a slope of 0, where not defined.
    """

    value: float
    slope: Array

    def sampling_variance(self, posterior: Array) -> float:
        """Of the realised metric around `value`, to first order, when labels are drawn from `posterior` (n, k)."""
        mean = (posterior * self.slope).sum(axis=1)
        return max(float((posterior * np.square(self.slope)).sum() - np.square(mean).sum()), 0.0)


def expected(name: str, scores: Array, posterior: Array, positive: int | None = None) -> Expected:
    """Expected accuracy, roc_auc, average_precision, f1, log_loss or brier of predictions `scores` (n, k).

    `posterior` (n, k) are the probabilities of the classes, row by row: expected confusion of each prediction, as
    confidence-based performance estimation has it. Ratios are ratios of expectations; in those that rank, a row is not
    compared with itself. `positive` is the column that ranks, the last one when None. Raises KeyError for another name.
    """
    measure = _METRICS[name]
    if len(scores) == 0:
        return Expected(math.nan, np.zeros_like(posterior))
    column = scores.shape[1] - 1 if positive is None else positive
    return measure(scores, posterior, column)


def _mean_of(loss: Callable[[Array], Array]) -> Callable[[Array, Array, int], Expected]:
    """`loss` gives for each row what each class would cost, (n, k)."""

    def measured(scores: Array, posterior: Array, _: int) -> Expected:
        slope = loss(scores) / len(scores)
        return Expected(float((posterior * slope).sum()), slope)

    return measured


def _hits(scores: Array) -> Array:
    return np.eye(scores.shape[1])[predicted_classes(scores)]


def _log_loss(scores: Array) -> Array:
    loss: Array = -np.log(np.clip(scores, CLIP, 1.0))
    return loss


def _brier(scores: Array) -> Array:
    loss: Array = np.square(scores).sum(axis=1)[:, None] - 2.0 * scores + 1.0
    two_classes = scores.shape[1] <= 2  # noqa: PLR2004  # as `brier_loss`: one of two equal squared errors
    return loss / 2 if two_classes else loss


def _f1(scores: Array, posterior: Array, positive: int) -> Expected:
    said, p = (predicted_classes(scores) == positive).astype(np.float64), posterior[:, positive]
    below = float(said.sum() + p.sum())
    if below == 0.0:
        return Expected(0.0, np.zeros_like(posterior))
    value = 2.0 * float(said @ p) / below
    return _by_positive(value, (2.0 * said - value) / below, posterior, positive)


def _roc_auc(scores: Array, posterior: Array, positive: int) -> Expected:
    """Σ p_i(1 − p_j)·[s_i > s_j, ½ when equal] / Σ p_i(1 − p_j), both over i ≠ j."""
    p, place = posterior[:, positive], np.unique(scores[:, positive], return_inverse=True)[1]
    one, zero = np.bincount(place, p), np.bincount(place, 1.0 - p)
    zeros_below = (np.cumsum(zero) - zero / 2)[place] - (1.0 - p) / 2  # rows that are not positive, ties by half
    ones_above = (p.sum() - np.cumsum(one) + one / 2)[place] - p / 2
    pairs = float(p.sum() * (1.0 - p).sum() - (p * (1.0 - p)).sum())
    if not pairs > 0.0:
        return Expected(math.nan, np.zeros_like(posterior))
    value = float(p @ zeros_below) / pairs
    more_pairs = (1.0 - p).sum() - p.sum() - (1.0 - 2.0 * p)
    return _by_positive(value, (zeros_below - ones_above - value * more_pairs) / pairs, posterior, positive)


def _average_precision(scores: Array, posterior: Array, positive: int) -> Expected:
    """Σ p_i·(1 + positives expected among the others at or above i) / rows at or above i, over Σ p_i."""
    p = posterior[:, positive]
    place = np.unique(-scores[:, positive], return_inverse=True)[1]
    rows = np.cumsum(np.bincount(place))[place]
    above = np.cumsum(np.bincount(place, p))[place]
    total = float(p.sum())
    if total == 0.0:
        return Expected(math.nan, np.zeros_like(posterior))
    value = float((p * (1.0 + above - p) / rows).sum()) / total
    per_group = np.bincount(place, p / rows)
    from_here = (per_group.sum() - np.cumsum(per_group) + per_group)[place]
    return _by_positive(value, ((1.0 + above - 2.0 * p) / rows + from_here - value) / total, posterior, positive)


def _by_positive(value: float, slope: Array, posterior: Array, positive: int) -> Expected:
    whole = np.zeros_like(posterior)
    whole[:, positive] = slope
    return Expected(value, whole)


_METRICS: Mapping[str, Callable[[Array, Array, int], Expected]] = {
    "accuracy": _mean_of(_hits),
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "f1": _f1,
    "log_loss": _mean_of(_log_loss),
    "brier": _mean_of(_brier),
}

"""The metrics of `monitor.stats.performance` on rows of unequal weight, without intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.stats.losses import absolute_error, brier_loss, correct, log_loss, predicted_classes, squared_error

Array = npt.NDArray[np.float64]
_Target = npt.NDArray[Any]


def weighted_metric(name: str, scores: Array, target: _Target, weights: Array) -> float:
    """What the metric would be if each row were there `weights` times, (n,), not negative; else as `metric_interval`.

    NaN without weight, and for a ranking when one of the kinds of rows has none. Raises KeyError for another name.
    """
    return _METRICS[name](scores, target, weights) if weights.sum() > 0 else math.nan


def _mean(loss: Callable[[Array, _Target], Array]) -> Callable[[Array, _Target, Array], float]:
    return lambda scores, target, weights: float(np.average(loss(scores, target), weights=weights))


def _rmse(scores: Array, target: _Target, weights: Array) -> float:
    return math.sqrt(float(np.average(squared_error(scores, target), weights=weights)))


def _f1(scores: Array, target: _Target, weights: Array) -> float:
    positive = scores.shape[1] - 1
    said, true = predicted_classes(scores) == positive, target == positive
    below = float(weights @ (said.astype(np.float64) + true))
    return 2.0 * float(weights @ (said & true)) / below if below > 0 else 0.0


def _steps(scores: Array, target: _Target, weights: Array) -> tuple[Array, Array]:
    """Weight of the positive and of the other rows per distinct score, from the highest."""
    score, positive = scores[:, -1], target == scores.shape[1] - 1
    values, place = np.unique(-score, return_inverse=True)
    size = len(values)
    above: Array = np.bincount(place, weights=weights * positive, minlength=size).astype(np.float64)
    below: Array = np.bincount(place, weights=weights * ~positive, minlength=size).astype(np.float64)
    return above, below


def _roc_auc(scores: Array, target: _Target, weights: Array) -> float:
    positive, other = _steps(scores, target, weights)
    pairs = float(positive.sum() * other.sum())
    above = np.cumsum(positive) - positive / 2  # ties count half
    return float(other @ above) / pairs if pairs > 0 else math.nan


def _average_precision(scores: Array, target: _Target, weights: Array) -> float:
    positive, other = _steps(scores, target, weights)
    hits, found = np.cumsum(positive), np.cumsum(positive + other)
    if hits[-1] <= 0:
        return math.nan
    return float(positive @ np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)) / float(hits[-1])


_METRICS: Mapping[str, Callable[[Array, _Target, Array], float]] = {
    "accuracy": _mean(correct),
    "log_loss": _mean(log_loss),
    "brier": _mean(brier_loss),
    "mae": _mean(absolute_error),
    "rmse": _rmse,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
}

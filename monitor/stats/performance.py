"""The metrics a deployment is judged by, with 95% intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.stats.losses import absolute_error, brier_loss, correct, log_loss, predicted_classes, squared_error
from monitor.stats.ranking import average_precision, roc_auc

__all__ = ["Estimate", "absolute_error", "higher_is_better", "log_loss", "metric", "metric_interval"]

Array = npt.NDArray[np.float64]

_Z95 = 1.959963984540054
_LOWER_IS_BETTER = frozenset({"log_loss", "brier", "mae", "rmse"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric and its 95% interval, clipped to the values the metric can take; NaN where it is not defined."""

    value: float
    low: float
    high: float
    standard_error: float
    n: int


def higher_is_better(name: str) -> bool:
    """Raises KeyError for a metric that does not exist."""
    if name not in _METRICS:
        raise KeyError(name)
    return name not in _LOWER_IS_BETTER


def metric(name: str, scores: Array, target: npt.NDArray[Any], *, positive: int | None = None) -> float:
    """The metric's value alone: see `metric_interval`."""
    return metric_interval(name, scores, target, positive=positive).value


def metric_interval(name: str, scores: Array, target: npt.NDArray[Any], *, positive: int | None = None) -> Estimate:
    """Value and interval of accuracy, roc_auc, log_loss, brier, f1, average_precision, mae or rmse.

    `scores` (n, k) probabilities and `target` (n,) codes, −1 for a class that the model does not know: an error for
    accuracy, log_loss and brier, "not positive" for the others. For mae and rmse both are values, (n,). `positive` is
    the column that ranks the rows, the last one when None. No rows, or only one kind of rows for a ranking: NaN.

    Intervals: Wilson for accuracy, DeLong for roc_auc, binomial for average_precision, otherwise normal with the
    standard error of a mean, carried through by the delta method for f1 and rmse. Raises KeyError for another name.
    """
    measure = _METRICS[name]
    if len(target) == 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
    column = positive if positive is not None else (scores.shape[1] - 1 if scores.ndim > 1 else 0)
    return measure(scores, target, column)


def _accuracy(scores: Array, target: npt.NDArray[Any], _: int) -> Estimate:
    hits, n = float(correct(scores, target).sum()), len(target)
    share, z2 = hits / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Estimate(share, max(centre - half, 0.0), min(centre + half, 1.0), math.sqrt(share * (1 - share) / n), n)


def _roc_auc(scores: Array, target: npt.NDArray[Any], positive: int) -> Estimate:
    return _normal(*roc_auc(scores[:, positive], target == positive), len(target), top=1.0)


def _average_precision(scores: Array, target: npt.NDArray[Any], positive: int) -> Estimate:
    return _normal(*average_precision(scores[:, positive], target == positive), len(target), top=1.0)


def _f1(scores: Array, target: npt.NDArray[Any], positive: int) -> Estimate:
    """2·TP / (2·TP + FP + FN); 0 when there is neither a positive row nor a positive prediction, as is the custom."""
    said, true = predicted_classes(scores) == positive, target == positive
    above, below = 2.0 * (said & true), said.astype(np.float64) + true
    n, scale = len(target), float(below.mean())
    if scale == 0.0:
        return Estimate(0.0, math.nan, math.nan, math.nan, n)
    value = float(above.mean()) / scale
    return _normal(value, _error_of_mean(above - value * below) / scale, n, top=1.0)


def _rmse(scores: Array, target: npt.NDArray[Any], _: int) -> Estimate:
    squares = squared_error(scores, target)
    value = math.sqrt(float(squares.mean()))
    return _normal(value, _error_of_mean(squares) / (2 * value) if value > 0 else 0.0, len(target))


def _mean_of(
    loss: Callable[[Array, npt.NDArray[Any]], Array], top: float = math.inf
) -> Callable[[Array, npt.NDArray[Any], int], Estimate]:
    def measured(scores: Array, target: npt.NDArray[Any], _: int) -> Estimate:
        losses = loss(scores, target)
        return _normal(float(losses.mean()), _error_of_mean(losses), len(target), top=top)

    return measured


def _error_of_mean(values: Array) -> float:
    return float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan


def _normal(value: float, error: float, n: int, top: float = math.inf) -> Estimate:
    return Estimate(value, max(value - _Z95 * error, 0.0), min(value + _Z95 * error, top), error, n)


_METRICS: Mapping[str, Callable[[Array, npt.NDArray[Any], int], Estimate]] = {
    "accuracy": _accuracy,
    "roc_auc": _roc_auc,
    "log_loss": _mean_of(log_loss),
    "brier": _mean_of(brier_loss, top=2.0),
    "f1": _f1,
    "average_precision": _average_precision,
    "mae": _mean_of(absolute_error),
    "rmse": _rmse,
}

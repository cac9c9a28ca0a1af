"""Class shares of a batch without its labels, from what the model predicts and how it confuses classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.stats.chi2 import chi2
from monitor.stats.merge_count import Counts

Array = npt.NDArray[np.float64]

_Z95 = 1.959963984540054
WORST_CONDITION = 1e6  # beyond it the matrix is singular for every practical purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorEstimate:
    """Estimated share per class, shape (k,), and its 95% interval; all NaN, with a `reason`, when it cannot be told.

    `condition` is the condition number of P(predicted | label), infinite when singular. `p_value` is that of the test
    that classes are predicted in the same shares as on the held-out rows, None without rows; it needs no inverse.
    """

    share: Array
    low: Array
    high: Array
    standard_error: Array
    condition: float
    p_value: float | None
    effect: float  # Cramér's V of the predicted classes
    reason: str = ""


def bbse(confusion: Array, predicted: Counts, held_out: int) -> PriorEstimate:
    """Black-box shift estimation [1]_: solve A·q = μ with A = P(predicted i | label j), μ the predicted shares.

    `confusion` (k, k): joint shares P(predicted i, label j) on `held_out` rows; `predicted` (k,): counts of predicted
    classes in the batch. Negative shares are set to 0 and the rest rescaled. The interval is by the delta method,
    with the sampling errors of μ and of A. Assumes label shift: P(x | label) as on the held-out rows.

    Not told (see `reason`): no rows, a class without held-out rows, a singular A (as when a class is never predicted).

    References
    ----------
    .. [1] Lipton, Wang, Smola (2018), ICML, arXiv 1802.03916.
    """
    n = int(predicted.sum())
    tested = chi2(np.rint(confusion.sum(axis=1) * held_out).astype(np.int64), predicted)
    prior = confusion.sum(axis=0)
    if n == 0 or held_out == 0:
        return _untold(len(predicted), math.inf, None, math.nan, "no rows")
    if (prior <= 0).any():
        why = f"no held-out rows of {int((prior <= 0).sum())} of {prior.size} classes"
        return _untold(prior.size, math.inf, tested.p_value, tested.effect, why)
    given_label = confusion / prior
    condition = float(np.linalg.cond(given_label))
    if not condition < WORST_CONDITION:
        why = "the model's predictions do not tell the classes apart: the confusion matrix is singular"
        return _untold(prior.size, math.inf, tested.p_value, tested.effect, why)
    inverse = np.linalg.inv(given_label)
    mu = predicted / n
    raw = inverse @ mu
    share = on_simplex(raw)
    error = np.sqrt(
        np.diag(inverse @ (_multinomial(mu) / n + _of_matrix(given_label, share, prior, held_out)) @ inverse.T)
    )
    return PriorEstimate(
        share=share,
        low=np.minimum(np.clip(raw - _Z95 * error, 0.0, 1.0), share),
        high=np.maximum(np.clip(raw + _Z95 * error, 0.0, 1.0), share),
        standard_error=error,
        condition=condition,
        p_value=tested.p_value,
        effect=tested.effect,
    )


def confusion_matrix(predicted: npt.NDArray[np.integer], target: npt.NDArray[np.integer], classes: int) -> Array:
    """Joint shares P(predicted i, label j), shape (k, k), over the rows whose label is known (not −1).

    Without such rows all zero.
    """
    known = target >= 0
    pairs = predicted[known] * classes + target[known]
    counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    return counts / max(int(known.sum()), 1)


def on_simplex(raw: Array) -> Array:
    """Negative shares set to 0 and the rest rescaled to the sum 1, (k,); one of them at least must be above 0."""
    positive = np.maximum(raw, 0.0)
    shares: Array = positive / positive.sum()
    return shares


def _multinomial(shares: Array) -> Array:
    return np.diag(shares) - np.outer(shares, shares)


def _of_matrix(given_label: Array, share: Array, prior: Array, held_out: int) -> Array:
    """Covariance of Â·q: column j of A is estimated from `held_out`·prior_j rows."""
    weights = share**2 / (held_out * prior)
    return np.diag(given_label @ weights) - (given_label * weights) @ given_label.T


def _untold(classes: int, condition: float, p_value: float | None, effect: float, reason: str) -> PriorEstimate:
    nothing = np.full(classes, math.nan)
    return PriorEstimate(
        share=nothing, low=nothing, high=nothing, standard_error=nothing,
        condition=condition, p_value=p_value, effect=effect, reason=reason,
    )  # fmt: skip

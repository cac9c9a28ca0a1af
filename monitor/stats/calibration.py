"""Bias-corrected temperature scaling: probabilities that are as often right as they say, from a model's scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SMALLEST = 1e-12  # of a score: its logarithm stays finite
_RIDGE = 1.0  # pull of the parameters towards "as they are", as of one row: scores without a mistake have no optimum
_STEPS = 100
_CLOSE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """softmax(`sharpness`·log s + `bias`) of a row's scores s; `bias` (k,), its first entry is 0 [1]_.

    Sharpness is one over the temperature.

    References
    ----------
    .. [1] Alexandari, Kundaje, Shrikumar (2020), ICML, arXiv 1901.06852.
    """

    sharpness: float
    bias: Array

    @classmethod
    def fit(
        cls, scores: Array, target: npt.NDArray[np.integer], weights: Array | None = None, *, biased: bool = True
    ) -> Calibration:
        """By maximum likelihood on rows the model was not fitted on; `scores` (n, k), `target` (n,) codes, −1: none.

        `weights` (n,): how often each row counts. Without `biased`, temperature scaling alone: all biases 0. Convex,
        solved by Newton's method with steps halved until they help. Without labelled rows: scores as they are.
        """
        known = target >= 0
        rows = _Rows(log_scores(scores[known]), target[known], np.ones(1) if weights is None else weights[known])
        free = scores.shape[1] if biased else 1
        theta = rows.start
        value = rows.loss(theta)
        for _ in range(_STEPS):
            gradient, bend = rows.derivatives(theta)
            step = np.zeros_like(theta)
            step[:free] = np.linalg.solve(bend[:free, :free], gradient[:free])
            if float(gradient @ step) < _CLOSE:
                break
            length = 1.0
            while (reached := rows.loss(theta - length * step)) > value and length > _CLOSE:
                length /= 2
            theta, value = theta - length * step, reached
        return cls(sharpness=float(theta[0]), bias=np.concatenate([[0.0], theta[1:]]))

    def apply(self, scores: Array) -> Array:
        """Calibrated probabilities, (n, k)."""
        return softmax(self.sharpness * log_scores(scores) + self.bias)


def log_scores(scores: Array) -> Array:
    return np.log(np.maximum(scores, _SMALLEST))


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Array = powers / powers.sum(axis=1, keepdims=True)
    return total


def slopes(miss: Array, logs: Array) -> Array:
    """Derivative of each row's loss by the parameters (sharpness, then all biases but the first), (n, k).

    `miss` (n, k): calibrated score less 1 at the row's class.
    """
    return np.column_stack([(miss * logs).sum(axis=1), miss[:, 1:]])


def curvature(calibrated: Array, logs: Array, weights: Array | None = None) -> Array:
    """Second derivative of the loss summed over the rows, each counted `weights` (n,) times; (k, k)."""
    h = calibrated
    w = np.ones(1) if weights is None else weights
    mean = (h * logs).sum(axis=1)
    counted = h * w[:, None]
    found = np.empty((h.shape[1], h.shape[1]))
    found[0, 0] = (counted * np.square(logs)).sum() - (w * np.square(mean)).sum()
    found[0, 1:] = found[1:, 0] = (counted * (logs - mean[:, None])).sum(axis=0)[1:]
    found[1:, 1:] = np.diag(counted[:, 1:].sum(axis=0)) - h[:, 1:].T @ counted[:, 1:]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The loss of parameters θ: sharpness first, then the biases of all classes but the first."""

    logs: Array
    wanted: npt.NDArray[np.integer]
    weights: Array  # (n,) or (1,)

    @property
    def start(self) -> Array:
        """Scores as they are."""
        theta = np.zeros(self.logs.shape[1])
        theta[0] = 1.0
        return theta

    def logits(self, theta: Array) -> Array:
        logits: Array = theta[0] * self.logs + np.concatenate([[0.0], theta[1:]])
        return logits

    def loss(self, theta: Array) -> float:
        logits = self.logits(theta)
        top = logits.max(axis=1)
        normaliser = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        likelihood = (normaliser - logits[np.arange(len(self.wanted)), self.wanted]) * self.weights
        return float(likelihood.sum() + _RIDGE / 2 * np.square(theta - self.start).sum())

    def derivatives(self, theta: Array) -> tuple[Array, Array]:
        """Gradient and Hessian of `loss`."""
        h = softmax(self.logits(theta))
        miss = h.copy()
        miss[np.arange(len(self.wanted)), self.wanted] -= 1.0
        gradient = slopes(miss * self.weights[:, None], self.logs).sum(axis=0) + _RIDGE * (theta - self.start)
        return gradient, curvature(h, self.logs, self.weights) + _RIDGE * np.eye(len(theta))

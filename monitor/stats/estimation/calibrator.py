"""Ways of making a model's scores probabilities, each with what its own estimation error does to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from monitor.stats.calibration import Calibration, curvature, log_scores, slopes

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

_TWO = 2


class Calibrator(Protocol):
    def apply(self, scores: Array) -> Array:
        """Probabilities of the classes, (n, k), of scores (n, k)."""
        ...

    def variance(self, scores: Array, slope: Array) -> float:
        """Of Σ slope·apply(scores), to first order, for the rows it was fitted on were a sample; `slope` (n, k)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Temperature scaling, with or without biases; `covariance` (k, k) of its parameters, the sharpness first."""

    calibration: Calibration
    covariance: Array

    @classmethod
    def fit(cls, scores: Array, target: Codes, weights: Array | None, *, biased: bool) -> Scaled:
        """With `weights` the parameters move from those without them as far as the rows make sure that they differ.

        That is by 1 − p/W, or not at all, W the Wald statistic that all p of them are the same: few rows that weigh
        much say little, and would say something else every time.
        """
        plain = _Scaling.fit(scores, target, np.ones(len(target)), biased=biased)
        if weights is None:
            return plain.moved_to(plain, 0.0)
        there = _Scaling.fit(scores, target, weights, biased=biased)
        return plain.moved_to(there, plain.sure_to_differ(there))

    def apply(self, scores: Array) -> Array:
        return self.calibration.apply(scores)

    def variance(self, scores: Array, slope: Array) -> float:
        h = self.calibration.apply(scores)
        moved = h * (slope - (h * slope).sum(axis=1, keepdims=True))
        by_parameter = slopes(moved, log_scores(scores)).sum(axis=0)
        return max(float(by_parameter @ self.covariance @ by_parameter), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Scaling:
    """Parameters `theta` (k,), the sharpness first, and the influence of each row on them, (n, k), summing to 0."""

    theta: Array
    influence: Array
    free: int

    @classmethod
    def fit(cls, scores: Array, target: Codes, weights: Array, *, biased: bool) -> _Scaling:
        found = Calibration.fit(scores, target, weights, biased=biased)
        logs, h = log_scores(scores), found.apply(scores)
        free = scores.shape[1] if biased else 1
        pulls = slopes(h - np.eye(scores.shape[1])[target], logs)[:, :free] * weights[:, None]
        influence = np.zeros_like(scores)
        influence[:, :free] = -pulls @ np.linalg.pinv(curvature(h, logs, weights)[:free, :free], hermitian=True)
        return cls(np.concatenate([[found.sharpness], found.bias[1:]]), influence, free)

    def sure_to_differ(self, other: _Scaling) -> float:
        gap, influence = other.theta - self.theta, other.influence - self.influence
        wald = float(gap @ np.linalg.pinv(influence.T @ influence, hermitian=True) @ gap)
        return max(1.0 - self.free / wald, 0.0) if wald > 0 else 0.0

    def moved_to(self, other: _Scaling, share: float) -> Scaled:
        theta = self.theta + share * (other.theta - self.theta)
        influence = self.influence + share * (other.influence - self.influence)
        calibration = Calibration(sharpness=float(theta[0]), bias=np.concatenate([[0.0], theta[1:]]))
        return Scaled(
            calibration, influence.T @ influence
        )  # sandwich: rows that count for several are not several rows


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Isotonic regression of one class: the probability `value` from `start` to `end`, and the variance of each."""

    start: Array
    end: Array
    value: Array
    variance: Array

    @classmethod
    def fit(cls, score: Array, hit: npt.NDArray[np.bool_], weights: Array) -> Steps:
        from scipy import optimize  # it takes half a second to import

        order = np.argsort(score, kind="stable")
        score, hit, weights = score[order], hit[order].astype(np.float64), weights[order]
        if score.size == 0:  # nothing is known: scores as they are
            return cls(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.zeros(2))
        one = np.flatnonzero(np.diff(score, prepend=-np.inf))  # equal scores are one point
        mass = np.maximum(np.add.reduceat(weights, one), np.finfo(np.float64).tiny)
        fitted = optimize.isotonic_regression(np.add.reduceat(weights * hit, one) / mass, weights=mass)
        first = one[fitted.blocks[:-1]]
        last = np.append(first[1:], score.size) - 1
        value = np.clip(fitted.x[fitted.blocks[:-1]], 0.0, 1.0)
        total, squares = np.add.reduceat(weights, first), np.add.reduceat(np.square(weights), first)
        variance = value * (1.0 - value) * squares / np.maximum(np.square(total), np.finfo(np.float64).tiny)
        return cls(score[first], score[last], value, variance)

    def apply(self, score: Array) -> Array:
        """Between two blocks a straight line."""
        points = np.column_stack([self.start, self.end]).ravel()
        found: Array = np.interp(score, points, np.repeat(self.value, 2))
        return found

    def moved(self, score: Array, slope: Array) -> float:
        """Variance of Σ slope·apply(score): each row by the block it is nearest to."""
        between = (self.end[:-1] + self.start[1:]) / 2
        pull = np.bincount(np.searchsorted(between, score), slope, minlength=self.value.size)
        return float((np.square(pull) * self.variance).sum())


@dataclass(frozen=True, slots=True)
class Isotonic:
    """One regression for each class against all others, scaled to sum to 1; for two classes that of the last one."""

    steps: tuple[Steps, ...]

    @classmethod
    def fit(cls, scores: Array, target: Codes, weights: Array | None) -> Isotonic:
        classes = scores.shape[1]
        weights = np.ones(len(target)) if weights is None else weights
        return cls(tuple(Steps.fit(scores[:, k], target == k, weights) for k in range(classes == _TWO, classes)))

    def apply(self, scores: Array) -> Array:
        if scores.shape[1] == _TWO:
            one = self.steps[0].apply(scores[:, 1])
            return np.column_stack([1.0 - one, one])
        found = np.column_stack([steps.apply(scores[:, k]) for k, steps in enumerate(self.steps)])
        total = found.sum(axis=1, keepdims=True)
        whole: Array = np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / scores.shape[1])
        return whole

    def variance(self, scores: Array, slope: Array) -> float:
        """The scaling to 1 is left out of account."""
        if scores.shape[1] == _TWO:
            return self.steps[0].moved(scores[:, 1], slope[:, 1] - slope[:, 0])
        return sum(steps.moved(scores[:, k], slope[:, k]) for k, steps in enumerate(self.steps))


def fit_calibrator(kind: str, scores: Array, target: Codes, weights: Array | None = None) -> Calibrator:
    """`bias_corrected` or `temperature` scaling or `isotonic` regression, on rows the model was not fitted on.

    `scores` (n, k), `target` (n,) known classes, `weights` (n,) how often each row counts. Raises KeyError for another
    name.
    """
    return _KINDS[kind](scores, target, weights)


_KINDS: Mapping[str, Callable[[Array, Codes, Array | None], Calibrator]] = {
    "bias_corrected": partial(Scaled.fit, biased=True),
    "temperature": partial(Scaled.fit, biased=False),
    "isotonic": Isotonic.fit,
}

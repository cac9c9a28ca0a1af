"""How good the model is on a batch whose labels have not come: an estimate, its interval, and what it assumes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from monitor.domain.held_out import HeldOut
from monitor.stats.estimation.calibrator import Calibrator, fit_calibrator
from monitor.stats.estimation.confidence import Threshold
from monitor.stats.estimation.covariate_shift import Powers, importance, moved, moved_p
from monitor.stats.estimation.error_model import ErrorModel
from monitor.stats.estimation.expected import expected
from monitor.stats.estimation.label_shift import Corrected, columns_fit
from monitor.stats.label_shift_em import LabelShift, Shares
from monitor.stats.performance import Estimate

Array = npt.NDArray[np.float64]
Way = Literal["automatic", "cbpe", "pape", "corrected", "atc"]
Chosen = npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice

_Z95 = 1.959963984540054
_MOVED = 0.05  # p-value below which something has moved
_REFUTED = 0.01  # p-value below which it is not the class shares alone
_DOUBTFUL = 0.05  # p-value below which that is uncertain
_TOP = {"log_loss": math.inf, "brier": 2.0}  # largest value, where it is not 1
_ALL = slice(None)


class Assumption(StrEnum):
    """What an estimate takes to be as on the held-out rows.

    That the relation of inputs and labels is the same is part of each: inputs and scores alone cannot tell.
    """

    NO_SHIFT = "no_shift"
    COVARIATE_SHIFT = "covariate_shift"  # inputs have moved; the label given the inputs is as before
    LABEL_SHIFT = "label_shift"  # class shares have moved; the inputs given the label are as before
    UNDECIDED = "undecided"  # one of the last two; the interval covers both
    CONFIDENCE = "confidence"  # rows the model is as sure of are as often right


class Assumed(Protocol):
    """A batch without labels, and what is assumed of it."""

    @property
    def assumption(self) -> Assumption: ...

    def estimate(self, metric: str, rows: Chosen = _ALL) -> Estimate:
        """Of these rows of the batch, with the 95% interval of the metric to be realised; NaN without rows.

        The interval is for the labels that may come, and for what the held-out rows leave open. Raises KeyError for a
        metric of another kind of model.
        """
        ...


class Estimator(Protocol):
    def assume(
        self, batch: Any, scores: Array, served: Array, shares: Shares | None, rng: np.random.Generator
    ) -> Assumed:
        """`batch`: a table of m rows (see `domain.columns`), `scores` the model's and `served` what counts.

        `shares`: class shares as estimated from the same scores, None for regression.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ClassesAssumed:
    """Probabilities of the classes in one way, or in two when undecided; `scores` and `served` (m, k)."""

    assumption: Assumption
    ways: tuple[Calibrator, ...]
    scores: Array
    served: Array

    def estimate(self, metric: str, rows: Chosen = _ALL) -> Estimate:
        scores, served = self.scores[rows], self.served[rows]
        each = [_by_way(way, metric, scores, served) for way in self.ways]
        return Estimate(
            value=float(np.mean([one.value for one in each])),
            low=min(one.low for one in each),
            high=max(one.high for one in each),
            standard_error=max(one.standard_error for one in each),
            n=len(scores),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceAssumed:
    """`scores` (m, k) are the model's own, whatever was served."""

    threshold: Threshold
    scores: Array

    @property
    def assumption(self) -> Assumption:
        return Assumption.CONFIDENCE

    def estimate(self, metric: str, rows: Chosen = _ALL) -> Estimate:
        if metric != "accuracy":
            raise KeyError(metric)
        return self.threshold.estimate(self.scores[rows])


@dataclass(frozen=True, slots=True, eq=False)
class ValuesAssumed:
    """`pieces` (m, p): the rows as the model of the error takes them."""

    assumption: Assumption
    model: ErrorModel
    pieces: Array

    def estimate(self, metric: str, rows: Chosen = _ALL) -> Estimate:
        return self.model.estimate(metric, self.pieces[rows])


@dataclass(frozen=True, slots=True, eq=False)
class ClassEstimator:
    """For a model that gives probabilities; `powers` are of the held-out rows, and `plain` is calibrated on them."""

    held_out: HeldOut
    powers: Powers
    label_shift: LabelShift
    calibration: str
    plain: Calibrator
    way: Way = "automatic"

    @classmethod
    def of(cls, held_out: HeldOut, label_shift: LabelShift, calibration: str, way: Way = "automatic") -> ClassEstimator:
        """`calibration`: see `fit_calibrator`; `way`: what is assumed of every batch, `automatic`: what `assume` finds.

        Without a shift (`cbpe`), of the inputs (`pape`) or of the class shares (`corrected`; as `cbpe` on a batch whose
        shares cannot be told).
        """
        plain = fit_calibrator(calibration, held_out.scores.astype(np.float64), held_out.target)
        return cls(held_out, Powers.of(held_out.features), label_shift, calibration, plain, way)

    def assume(
        self, batch: Any, scores: Array, served: Array, shares: Shares | None, rng: np.random.Generator
    ) -> ClassesAssumed:
        """Nothing moved for sure: as held out. Otherwise class shares, inputs, or both.

        The class shares, when they have surely moved and neither scores nor columns speak against it; the inputs, when
        they do; and both where that is doubtful.
        """
        if len(scores) == 0 or self.held_out.rows == 0:
            return ClassesAssumed(Assumption.NO_SHIFT, (self.plain,), scores, served)
        find = self._found if self.way == "automatic" else self._told
        assumption, ways = find(batch, shares, rng)
        return ClassesAssumed(assumption, ways, scores, served)

    def _told(
        self, batch: Any, shares: Shares | None, rng: np.random.Generator
    ) -> tuple[Assumption, tuple[Calibrator, ...]]:
        if self.way == "pape":
            return Assumption.COVARIATE_SHIFT, (self.reweighted(batch, rng),)
        if self.way == "corrected" and shares is not None and shares.influence is not None:
            return Assumption.LABEL_SHIFT, (self.corrected(shares),)
        return Assumption.NO_SHIFT, (self.plain,)

    def _found(
        self, batch: Any, shares: Shares | None, rng: np.random.Generator
    ) -> tuple[Assumption, tuple[Calibrator, ...]]:
        z = moved(self.powers, self.held_out.powers(batch))
        shares_moved = shares is not None and shares.shift_p is not None and shares.shift_p < _MOVED
        if not shares_moved and moved_p(z) >= _MOVED:
            return Assumption.NO_SHIFT, (self.plain,)
        features, encoded = self.held_out.features, self.held_out.encode(batch)
        corrected = None if shares is None or shares.influence is None else self.corrected(shares)
        fit = 0.0 if shares is None or corrected is None else self._fit(features, encoded, shares, corrected)
        if corrected is not None and shares_moved and fit >= _DOUBTFUL:
            return Assumption.LABEL_SHIFT, (corrected,)
        inputs = self._weighted(importance(features, encoded, z, rng))
        if corrected is None or fit < _REFUTED:
            return Assumption.COVARIATE_SHIFT, (inputs,)
        return Assumption.UNDECIDED, (inputs, corrected)

    def reweighted(self, batch: Any, rng: np.random.Generator) -> Calibrator:
        """As on held-out rows like those of the batch: probabilistic adaptive performance estimation [1]_.

        References
        ----------
        .. [1] Białek, Kuberski, Perrakis, Bifet (2024), arXiv 2401.08348.
        """
        z = moved(self.powers, self.held_out.powers(batch))
        return self._weighted(importance(self.held_out.features, self.held_out.encode(batch), z, rng))

    def corrected(self, shares: Shares) -> Corrected:
        """With the class shares estimated, whose `influence` must be known."""
        if shares.influence is None:
            raise ValueError(f"class shares that could not be told: {shares.reason}")
        return Corrected(self.label_shift, shares.share, shares.influence)

    def _weighted(self, weights: Array) -> Calibrator:
        return fit_calibrator(self.calibration, self.held_out.scores.astype(np.float64), self.held_out.target, weights)

    def _fit(self, features: Array, batch: Array, shares: Shares, corrected: Corrected) -> float:
        """The smaller p-value of the two checks that it is the class shares alone, doubled."""
        by_column = columns_fit(self.label_shift, shares.share, corrected.influence, features, batch)
        found = [p for p in (shares.fit_p, by_column) if p is not None]
        return min(len(found) * min(found), 1.0) if found else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceEstimator:
    """Accuracy alone, by average thresholded confidence."""

    threshold: Threshold

    def assume(
        self, batch: Any, scores: Array, served: Array, shares: Shares | None, rng: np.random.Generator
    ) -> ConfidenceAssumed:
        return ConfidenceAssumed(self.threshold, scores)


@dataclass(frozen=True, slots=True, eq=False)
class ValueEstimator:
    """For regression: errors at given inputs and predictions are taken to be as large as on the held-out rows."""

    held_out: HeldOut
    powers: Powers  # of its features
    model: ErrorModel

    @classmethod
    def of(cls, held_out: HeldOut) -> ValueEstimator:
        predicted = held_out.scores.astype(np.float64)
        features = held_out.features
        return cls(held_out, Powers.of(features), ErrorModel.fit(features, predicted, held_out.target))

    def assume(
        self, batch: Any, scores: Array, served: Array, shares: Shares | None, rng: np.random.Generator
    ) -> ValuesAssumed:
        encoded = self.held_out.encode(batch)
        still = len(scores) == 0 or moved_p(moved(self.powers, Powers.of(encoded))) >= _MOVED
        assumption = Assumption.NO_SHIFT if still else Assumption.COVARIATE_SHIFT
        return ValuesAssumed(assumption, self.model, self.model.pieces(encoded, scores))


def estimator_of(
    held_out: HeldOut, label_shift: LabelShift | None, calibration: str, way: Way = "automatic"
) -> Estimator | None:
    """What estimates the performance of a version; None without held-out rows.

    `label_shift` is None for regression, which has one `way`.
    """
    if held_out.rows == 0:
        return None
    if label_shift is None:
        return ValueEstimator.of(held_out)
    if way == "atc":
        return ConfidenceEstimator(Threshold.fit(held_out.scores.astype(np.float64), held_out.target))
    return ClassEstimator.of(held_out, label_shift, calibration, way)


def _by_way(way: Calibrator, metric: str, scores: Array, served: Array) -> Estimate:
    posterior = way.apply(scores)
    found = expected(metric, served, posterior)
    error = math.sqrt(found.sampling_variance(posterior) + way.variance(scores, found.slope))
    top = _TOP.get(metric, 1.0)
    low, high = max(found.value - _Z95 * error, 0.0), min(found.value + _Z95 * error, top)
    return Estimate(found.value, low, high, error, len(scores))

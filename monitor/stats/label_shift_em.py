"""Class shares of a batch without its labels, their intervals, and whether it is label shift."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.stats.calibration import Calibration, curvature, log_scores, slopes
from monitor.stats.label_shift_linear import Method as Linear
from monitor.stats.label_shift_linear import solve

Array = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32] | Array
Codes = npt.NDArray[np.integer]
Method = Literal["em", "bbse", "bbse_soft", "rlls"]

_Z95 = 1.959963984540054
_ITERATIONS = 2000
_CLOSE = 1e-9  # change of a share
_TINY = 1e-10  # share that is as good as none
_WORST_CONDITION = 1e10
_RANK = 1e-8  # smaller eigenvalues, relative to the largest, are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Estimated share per class, (k,), with its 95% interval; all NaN, with a `reason`, when it cannot be told.

    `shift_p`: p-value of the test that the shares are those of the held-out rows.
    `fit_p`: p-value of the goodness check, that the batch's scores are those of the held-out rows with other class
    shares. Small: this is not label shift alone, and the shares mean little. None when it could not be checked.
    """

    share: Array
    low: Array
    high: Array
    shift_p: float | None
    fit_p: float | None
    reason: str = ""
    influence: Influence | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """What each row adds to an estimate, to first order; the mean over the rows is 0.

    On the shares: `of_batch` (m, k) and `of_held_out` (n, k). Of the held-out rows alone: `on_calibration` (n, k), its
    sharpness first, and `on_prior` (n, k).
    """

    of_batch: Array
    of_held_out: Array
    on_calibration: Array
    on_prior: Array


@dataclass(frozen=True, slots=True, eq=False)
class LabelShift:
    """The held-out rows of a model as what a batch is compared with: calibrated scores (n, k) and labels (n,).

    Column after column in memory, as are the scores of a batch: few classes and many rows are summed up fast that way.
    Made from these: `sure` (n, f), the summaries that the goodness check compares, and their means `sure_by_class`
    (k, f); `unbent` (k, k), the inverse of the mean curvature of the calibration's loss.
    """

    calibration: Calibration
    logs: Array  # of the scores as the model gave them
    calibrated: Array
    target: Codes
    prior: Array  # (k,) shares of the labels, which are the means of the calibrated scores
    sure: Array = field(init=False, repr=False)
    sure_by_class: Array = field(init=False, repr=False)
    unbent: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        onehot, counts = self.onehot(), np.bincount(self.target, minlength=len(self.prior))
        sure = _summaries(self.calibrated)
        bend = curvature(self.calibrated, self.logs) / max(len(onehot), 1)
        object.__setattr__(self, "sure", sure)
        object.__setattr__(self, "sure_by_class", onehot.T @ sure / np.maximum(counts, 1)[:, None])
        object.__setattr__(self, "unbent", np.linalg.pinv(bend, hermitian=True))

    @classmethod
    def fit(cls, scores: Scores, target: Codes) -> LabelShift:
        """`scores` (n, k) of rows the model was not fitted on, `target` (n,) their classes, all of them known."""
        return cls.of(Calibration.fit(scores.astype(np.float64), target), scores, target)

    @classmethod
    def of(cls, calibration: Calibration, scores: Scores, target: Codes) -> LabelShift:
        """With a calibration that was fitted on these rows."""
        wide = _by_column(scores)
        prior = np.bincount(target, minlength=scores.shape[1]) / max(len(target), 1)
        return cls(calibration, log_scores(wide), calibration.apply(wide), target, prior)

    def estimate(self, scores: Array, method: Method = "em") -> Shares:
        """Shares of the classes in a batch with these scores, (m, k), uncalibrated.

        `em`: maximum likelihood by expectation maximisation after bias-corrected temperature scaling [1]_. The others:
        see `label_shift_linear.solve`. The interval is by the delta method (M-estimation [2]_), with the sampling
        errors of the batch, of the held-out rows and of the calibration where it is used. That of `rlls` is the
        interval of `bbse`, widened to hold the share. Assumes label shift: P(x | label) as on the held-out rows.

        Not told: no rows, a class without held-out rows, scores that do not tell the classes apart.

        References
        ----------
        .. [1] Saerens, Latinne, Decaestecker (2002), Neural Computation 14(1), 21-41; Alexandari, Kundaje,
           Shrikumar (2020), ICML, arXiv 1901.06852.
        .. [2] Stefanski, Boos (2002), The American Statistician 56(1), 29-38.
        """
        classes = len(self.prior)
        if len(scores) == 0 or len(self.target) == 0:
            return _untold(classes, "no rows")
        if (self.prior <= 0).any():
            return _untold(classes, f"no held-out rows of {int((self.prior <= 0).sum())} of {classes} classes")
        wide = _by_column(scores)
        logs, h = log_scores(wide), self.calibration.apply(wide)
        try:
            return self._likely(logs, h) if method == "em" else self._solved(logs, h, method)
        except np.linalg.LinAlgError:
            return _untold(classes, "the model's scores do not tell the classes apart")

    def _solved(self, logs: Array, h: Array, method: Linear) -> Shares:
        found = solve(method, np.exp(self.logs), self.target, np.exp(logs))
        influence = Influence(found.of_batch, found.of_held_out, *_calibrating(self))
        error = np.sqrt(
            np.square(found.of_batch).mean(axis=0) / len(h)
            + np.square(found.of_held_out).mean(axis=0) / len(self.target)
        )
        return Shares(
            share=found.share,
            low=np.minimum(np.clip(found.raw - _Z95 * error, 0.0, 1.0), found.share),
            high=np.maximum(np.clip(found.raw + _Z95 * error, 0.0, 1.0), found.share),
            shift_p=moved(self, found.raw, influence),
            fit_p=goodness(self, h, found.raw, influence),
            influence=influence,
        )

    def _likely(self, logs: Array, h: Array) -> Shares:
        share = maximise(h / self.prior, self.prior)
        known = _Known(self, logs, h, share)
        error = np.sqrt(known.variance())
        return Shares(
            share=share,
            low=np.clip(share - _Z95 * error, 0.0, 1.0),
            high=np.clip(share + _Z95 * error, 0.0, 1.0),
            shift_p=moved(self, share, known.influence),
            fit_p=goodness(self, h, share, known.influence),
            influence=known.influence,
        )

    def correct(self, scores: Array, share: Array) -> Array:
        """Calibrated probabilities of a batch whose classes have these shares, (m, k)."""
        h = self.calibration.apply(_by_column(scores)) * (share / self.prior)
        corrected: Array = h / h.sum(axis=1, keepdims=True)
        return corrected

    def onehot(self) -> Array:
        """The labels, (n, k), made anew at every call: with many classes they are large."""
        found = np.zeros((len(self.target), len(self.prior)), order="F")
        found[np.arange(len(self.target)), self.target] = 1.0
        return found


def maximise(ratio: Array, start: Array) -> Array:
    """Mixture weights q that maximise Σ log Σ_k ratio_k·q_k, by expectation maximisation from `start`; `ratio` (m, k).

    Each pass multiplies q_k by the mean of ratio_k over the row's Σ; the likelihood is concave and never falls.
    """
    q = start
    for _ in range(_ITERATIONS):
        after: Array = q * ((1.0 / (ratio @ q)) @ ratio)
        after /= after.sum()
        if np.abs(after - q).max() < _CLOSE:
            return after
        q = after
    return q


class _Known:
    """Influence of every row on the shares: of the batch, and of the held-out rows through prior and calibration.

    Shares sum to 1, and those at 0 stay there. Raises LinAlgError when the scores do not tell the classes apart.
    """

    def __init__(self, shift: LabelShift, logs: Array, h: Array, share: Array) -> None:
        self._shift, self._h, self._share = shift, h, share
        self._score = _score(h, shift.prior, share)
        free = _directions(share)
        information = free.T @ (self._score.T @ self._score / len(h)) @ free
        if information.size and not np.linalg.cond(information) < _WORST_CONDITION:
            raise np.linalg.LinAlgError("singular")
        inverse = free @ np.linalg.solve(information, free.T) if free.size else np.zeros((len(share), len(share)))
        self._of_batch = (self._score - self._score.mean(axis=0)) @ inverse
        self._on_calibration, self._on_prior = _calibrating(shift)
        self._of_held_out = self._held_out_influence(inverse, logs)

    @property
    def influence(self) -> Influence:
        return Influence(self._of_batch, self._of_held_out, self._on_calibration, self._on_prior)

    def variance(self) -> Array:
        """Of each share, (k,)."""
        n, m = len(self._shift.target), len(self._h)
        sampling = np.square(self._of_batch).mean(axis=0) / m + np.square(self._of_held_out).mean(axis=0) / n
        # a share at 0: how far from it the share could be without being noticed
        information = np.square(self._score - 1.0).mean(axis=0)
        found: Array = np.where(self._share <= _TINY, 1.0 / (m * np.maximum(information, _TINY)), sampling)
        return found

    def _held_out_influence(self, inverse: Array, logs: Array) -> Array:
        """(n, k): of the held-out rows, through their class shares and the calibration.

        With posterior weights q_k·r_k that sum to 1 in each row, ∂r_k/∂b_j = r_k·(δ_kj − q_j·r_j), and the class
        shares p_j act as −b_j/p_j would.
        """
        shift, q, r = self._shift, self._share, self._score
        by_bias = np.diag(r.mean(axis=0)) - r.T @ r / len(r) * q
        by_sharpness = (r * (logs - (r * q * logs).sum(axis=1)[:, None])).mean(axis=0)
        by_theta = np.column_stack([by_sharpness, by_bias[:, 1:]])
        by_prior = -by_bias / shift.prior
        influence: Array = (self._on_calibration @ by_theta.T + self._on_prior @ by_prior.T) @ inverse
        return influence


def _calibrating(shift: LabelShift) -> tuple[Array, Array]:
    """Influence of the held-out rows on the calibration and on their own class shares, (n, k) both."""
    onehot = shift.onehot()
    on_calibration = -slopes(shift.calibrated - onehot, shift.logs) @ shift.unbent
    return on_calibration, onehot - shift.prior


def goodness(shift: LabelShift, h: Array, share: Array, influence: Influence) -> float | None:
    """P-value of the Wald test that functions of the calibrated scores, (m, k), have the mean that shares predict."""
    seen, expected, by_class = _summaries(h), shift.sure, shift.sure_by_class
    difference = seen.mean(axis=0) - share @ by_class
    of_batch = seen - seen.mean(axis=0) - influence.of_batch @ by_class
    weight = (share / shift.prior)[shift.target][:, None]
    of_held_out = -weight * (expected - by_class[shift.target]) - influence.of_held_out @ by_class
    covariance = of_batch.T @ of_batch / len(seen) ** 2 + of_held_out.T @ of_held_out / len(expected) ** 2
    return _wald(difference, covariance)


def moved(shift: LabelShift, share: Array, influence: Influence) -> float | None:
    """P-value of the Wald test that the shares are those of the held-out rows, whose sampling error counts."""
    of_held_out = influence.of_held_out - influence.on_prior
    n, m = len(of_held_out), len(influence.of_batch)
    covariance = influence.of_batch.T @ influence.of_batch / m**2 + of_held_out.T @ of_held_out / n**2
    return _wald(share - shift.prior, covariance)


def _wald(difference: Array, covariance: Array) -> float | None:
    """None when nothing varies."""
    value, vector = np.linalg.eigh(covariance)
    use = value > max(float(value[-1]), 0.0) * _RANK
    if not use.any():
        return None
    statistic = float((np.square(vector[:, use].T @ difference) / value[use]).sum())
    return float(special.chdtrc(int(use.sum()), statistic))


def _score(h: Array, prior: Array, share: Array) -> Array:
    """Derivative of a row's log-likelihood by the shares, (m, k)."""
    ratio = h / prior
    found: Array = ratio / (ratio @ share)[:, None]
    return found


def _directions(share: Array) -> Array:
    """Orthonormal columns that span the moves of the positive shares with sum 0, (k, free)."""
    positive = np.flatnonzero(share > _TINY)
    centred = np.eye(len(positive)) - 1.0 / len(positive)
    free = np.zeros((len(share), len(positive) - 1))
    free[positive] = np.linalg.eigh(centred)[1][:, 1:]  # the first is the direction in which the sum changes
    return free


def _summaries(h: Array) -> Array:
    """What the goodness check compares: confidence and entropy of each row, (m, 2).

    The classes themselves say nothing, the shares were fitted to them; and counts of rare ones are far from normal.
    """
    return np.column_stack([h.max(axis=1), -special.xlogy(h, h).sum(axis=1)])


def _by_column(scores: Scores) -> Array:
    return np.asfortranarray(scores, dtype=np.float64)


def _untold(classes: int, reason: str) -> Shares:
    nothing = np.full(classes, math.nan)
    return Shares(share=nothing, low=nothing, high=nothing, shift_p=None, fit_p=None, reason=reason)

"""What speaks for each type of shift between a model's held-out rows and later ones, with labels or without."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.stats.calibration import log_scores
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.losses import CLIP, absolute_error, log_loss
from monitor.stats.multivariate.classifier import ClassifierShift, classifier_test

Array = npt.NDArray[np.float64]

_FEWEST_LABELS = 100
_FEWEST_EFFECTIVE = 100.0  # rows that importance weights leave of the held-out ones


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Rows of known label: `scores` (n, k) as the model gave them, `target` (n,) codes; or (n,) and (n,) values."""

    scores: Array
    target: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """What is held against each other. `before`: the labels of the held-out rows with the features `reference` (n, d).

    `current` (m, d) and `scores` (m, k) or (m,) are of a sample of the later rows; `seen`, all of those whose label is
    known, also others. `groups` (d,) as in `classifier_test`.
    """

    reference: Array
    before: Labelled
    current: Array
    scores: Array
    seen: Labelled
    groups: npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Numbers that are None could not be measured: no labels yet, no classes, too few rows.

    `inputs_p`, `inputs_effect`: can the rows be told apart at all (area under the curve less ½)? `shares_p`: have the
    class shares moved? `fit_p`, `fit_effect`: can they still be told apart once the held-out rows have these shares?

    On `labelled` rows: mean `loss` beside that of the held-out rows, `loss_before`, and beside what each explanation
    expects, `by_inputs` and `by_shares`; `…_z` is how many standard errors the loss is above it. `relation_z`: do the
    labels follow the scores corrected for the shares (above 0) or the scores as they were (below 0)? `effective`: as
    many unweighted rows as the weighted held-out ones are worth.
    """

    inputs_p: float | None
    inputs_effect: float | None
    shares_p: float | None = None
    fit_p: float | None = None
    fit_effect: float | None = None
    labelled: int = 0
    loss_before: float | None = None
    loss: float | None = None
    loss_z: float | None = None
    effective: float | None = None
    by_inputs: float | None = None
    by_inputs_z: float | None = None
    by_shares: float | None = None
    by_shares_z: float | None = None
    relation_z: float | None = None


def gather(rows: Compared, shift: LabelShift | None, rng: np.random.Generator) -> tuple[Evidence, ClassifierShift]:
    """`shift` is that of the held-out scores; None for regression, for which nothing is said about class shares.

    The loss that moved inputs explain is the mean over the held-out rows, weighted by the density ratio that the
    classifier gives rows it has not seen (importance weights [1]_). Calibrated scores foretell what loss to expect of
    a row, so only what they miss is weighted (doubly robust [2]_: right when the calibration or the weights are). The
    loss that other class shares explain is the mean weighted by the ratio of the shares.

    References
    ----------
    .. [1] Shimodaira (2000), Journal of Statistical Planning and Inference 90(2), 227-244.
    .. [2] Robins, Rotnitzky, Zhao (1994), Journal of the American Statistical Association 89(427), 846-866.
    """
    told = classifier_test(rows.reference, rows.current, rows.groups, rng)
    found: dict[str, float | None] = {"inputs_p": told.result.p_value, "inputs_effect": told.result.effect}
    share = None
    if shift is not None:
        shares = shift.estimate(rows.scores)
        if not shares.reason:
            share = shares.share
            found |= {"shares_p": shares.shift_p, **_fit(rows, share, rng)}
    labelled = len(rows.seen.target)
    if min(labelled, len(rows.before.target)) >= _FEWEST_LABELS:
        found |= _losses(rows.before, rows.seen, told.weights, share, shift)
    return Evidence(**found, labelled=labelled), told


def _fit(rows: Compared, share: Array, rng: np.random.Generator) -> dict[str, float | None]:
    """The classifier's answer on the largest sample of the held-out rows that has these shares, none drawn twice."""
    target = rows.before.target
    counts = np.bincount(target, minlength=len(share))
    wanted = share > 0
    total = float((counts[wanted] / share[wanted]).min())
    chosen = [rng.permutation(np.flatnonzero(target == k))[: math.floor(total * q)] for k, q in enumerate(share)]
    result = classifier_test(rows.reference[np.concatenate(chosen)], rows.current, rows.groups, rng).result
    return {"fit_p": result.p_value, "fit_effect": result.effect}


def _losses(
    reference: Labelled, seen: Labelled, weights: Array, share: Array | None, shift: LabelShift | None
) -> dict[str, float | None]:
    before, now = _loss(reference), _loss(seen)
    found: dict[str, float | None] = {"loss_before": float(before.mean()), "loss": float(now.mean())}
    found["loss_z"] = _excess(now, before, np.ones(len(before)))[1]
    found["effective"] = _effective(weights)
    if _effective(weights) >= _FEWEST_EFFECTIVE:
        excess, found["by_inputs_z"] = _excess(
            now - _foretold(seen, shift), before - _foretold(reference, shift), weights
        )
        found["by_inputs"] = float(now.mean()) - excess
    if shift is not None and share is not None:
        ratio = (share / shift.prior)[reference.target]
        if _effective(ratio) >= _FEWEST_EFFECTIVE:
            excess, found["by_shares_z"] = _excess(now, before, ratio)
            found["by_shares"] = float(now.mean()) - excess
        found["relation_z"] = _relation(seen, share, shift)
    return found


def _effective(weights: Array) -> float:
    """As many unweighted rows as these weighted ones are worth (Kish)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def _loss(rows: Labelled) -> Array:
    return absolute_error(rows.scores, rows.target) if rows.scores.ndim == 1 else log_loss(rows.scores, rows.target)


def _foretold(rows: Labelled, shift: LabelShift | None) -> Array:
    """Each row's expected loss, if the calibrated scores are right; 0 for regression."""
    if shift is None:
        return np.zeros(len(rows.scores))
    losses = -np.log(np.clip(rows.scores, CLIP, 1.0))
    expected: Array = (shift.calibration.apply(rows.scores) * losses).sum(axis=1)
    return expected


def _excess(now: Array, before: Array, weights: Array) -> tuple[float, float | None]:
    """By how much the mean of `now` is above the weighted one of `before`, and that in standard errors."""
    total = weights.sum()
    expected = float((weights * before).sum() / total)
    excess = float(now.mean()) - expected
    error = float(now.var() / len(now) + np.square(weights * (before - expected)).sum() / total**2)
    return excess, excess / math.sqrt(error) if error > 0 else None


def _relation(seen: Labelled, share: Array, shift: LabelShift) -> float | None:
    """Mean log-likelihood of the labels under corrected scores less that under calibrated ones, in standard errors."""
    known = seen.target >= 0  # the others are of a class that the model does not know
    scores, at = seen.scores[known], (np.arange(int(known.sum())), seen.target[known])
    gain = log_scores(shift.correct(scores, share))[at] - log_scores(shift.calibration.apply(scores))[at]
    if not len(gain):
        return None
    error = float(gain.std()) / math.sqrt(len(gain))
    return float(gain.mean()) / error if error > 0 else None

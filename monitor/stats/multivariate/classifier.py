"""Classifier two-sample test: can a model tell the current rows from those of the reference?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.stats.multivariate.logistic import Logistic, Rows
from monitor.stats.ranking import roc_auc
from monitor.stats.result import UNMEASURED, Result

Array = npt.NDArray[np.float64]

FOLDS = 5
_MIN_PER_FOLD = 2  # rows of each sample that a fold needs
_LOG_LIMIT = 50.0  # keeps a density ratio and its square finite


@dataclass(frozen=True, slots=True)
class ClassifierShift:
    """`result` as in `classifier_test`; what the classifier learnt comes with it.

    `weights` (n reference rows): the density ratio current/reference at each reference row, from a model that has not
    seen it. They are importance weights: around 1 on average, all 1 without drift. `current` (m current rows): the same
    ratio at each of those; the rows with the largest are most unlike the reference. `shares` (groups): the part of the
    difference of the mean log-odds, on rows held out, that each group of columns contributes; they sum to 1, or are
    all 0 when no group contributes.
    """

    result: Result
    weights: Array
    current: Array
    shares: Array


def classifier_test(
    ref: Rows, cur: Rows, groups: npt.NDArray[np.integer], rng: np.random.Generator, folds: int = FOLDS
) -> ClassifierShift:
    """Cross-fitted logistic regression on scaled columns and their squares [1]_; `ref` (n, d), `cur` (m, d), finite.

    `groups` (d,) counts from 0 and says which columns belong together. The squares let it see a change of spread; a
    change of the dependence between columns alone it does not see: see `mmd`.

    Statistic: mean over the folds of the area under the ROC curve on the fold left out; effect: that minus ½. The
    p-value is one-sided. Given the other folds, a fold's area is a Mann–Whitney U divided by its number of pairs; the
    areas are correlated, since each fold trains the classifiers of the others. To first order each is ⟨w, δ⟩ with δ
    the difference of the fold's means and w the sum of the other folds' differences, which makes the variance of their
    mean 2/K of that of one of K folds, not 1/K, and the tail shorter than the normal one.

    Too few rows (fewer than two of each sample per fold) or no column: not measured, all ratios 1, shares 0.

    References
    ----------
    .. [1] Lopez-Paz, Oquab (2017), ICLR, arXiv 1610.06545.
    """
    count = int(groups.max()) + 1 if groups.size else 0
    if min(ref.shape[0], cur.shape[0]) < _MIN_PER_FOLD * folds or count == 0:
        return ClassifierShift(UNMEASURED, np.ones(ref.shape[0]), np.ones(cur.shape[0]), np.zeros(count))
    rows = np.concatenate([ref, cur])
    rows = np.concatenate([rows, _squares(rows)], axis=1)
    is_cur = np.arange(rows.shape[0]) >= ref.shape[0]
    fold_of = np.concatenate([rng.permutation(ref.shape[0]), rng.permutation(cur.shape[0])]) % folds
    scores, areas, gaps = np.empty(rows.shape[0]), [], np.zeros(rows.shape[1])
    for fold in range(folds):
        out = fold_of == fold
        model = Logistic.fit(rows[~out], is_cur[~out])
        scores[out] = model.log_odds(rows[out])
        areas.append(_Area.of(scores[out], is_cur[out]))
        gaps += model.coefficients * (rows[out & is_cur].mean(axis=0) - rows[out & ~is_cur].mean(axis=0)) / folds
    area = float(np.mean([fold.area for fold in areas]))
    p_value = float(special.ndtr(-np.mean([fold.z for fold in areas]) / math.sqrt(2 / folds)))
    ratio = np.exp(np.clip(scores - math.log(cur.shape[0] / ref.shape[0]), -_LOG_LIMIT, _LOG_LIMIT))
    result = Result(area, p_value, area - 0.5)
    return ClassifierShift(result, ratio[~is_cur], ratio[is_cur], _shares(gaps, np.tile(groups, 2), count))


def _squares(rows: Rows) -> Rows:
    """Squares on the scale of the pooled rows; 0 where a column is constant."""
    squares = np.square(rows)
    squares -= squares.mean(axis=0)
    sd = squares.std(axis=0)
    scaled: Rows = squares / np.where(sd > 0, sd, 1.0)
    return scaled


class _Area(NamedTuple):
    """Area under the ROC curve of one fold, and how many standard deviations of a Mann–Whitney U it is above ½.

    Without the correction for ties, which would only make the variance smaller.
    """

    area: float
    z: float

    @classmethod
    def of(cls, scores: Array, is_cur: npt.NDArray[np.bool_]) -> _Area:
        n_cur = int(is_cur.sum())
        n_ref = is_cur.size - n_cur
        area, _ = roc_auc(scores, is_cur)
        return cls(area, (area - 0.5) / math.sqrt((n_ref + n_cur + 1) / (12.0 * n_ref * n_cur)))


def _shares(gaps: Array, groups: npt.NDArray[np.integer], count: int) -> Array:
    per_group = np.maximum(np.bincount(groups, weights=gaps, minlength=count), 0.0)
    total = per_group.sum()
    shares: Array = per_group / total if total > 0 else per_group
    return shares

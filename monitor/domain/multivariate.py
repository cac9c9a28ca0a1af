"""Measures of all columns at once. They need the rows of both tables, not profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain.encoding import Encoded, encode
from monitor.domain.measures import Measure, Measures
from monitor.domain.schema import Schema
from monitor.errors import ConfigError, DataError
from monitor.stats.multivariate.classifier import classifier_test
from monitor.stats.multivariate.mmd import PERMUTATIONS, mmd
from monitor.stats.multivariate.reconstruction import reconstruction_shift
from monitor.stats.multivariate.scores import score_shift
from monitor.stats.result import Result

ALL_COLUMNS = "*"  # what `Measure.column` says for a measure of all of them
ROW_MEASURES = ("classifier", "mmd", "reconstruction")

_NAMED = 5  # columns that the classifier's detail names
_LEAST = 0.01  # share of a column that is named
_MATRIX = 2  # dimensions


@dataclass(frozen=True, slots=True, kw_only=True)
class RowComparison:
    """`measures` have `ALL_COLUMNS` for their column.

    Of the classifier, empty when it was not asked for: `shares` of each feature in what tells the two tables apart,
    and `weights`, the density ratio at each reference row; see `ClassifierShift`.
    """

    measures: Measures
    shares: Mapping[str, float]
    weights: npt.NDArray[np.float64]


def compare_rows(
    reference: Any,
    current: Any,
    schema: Schema,
    measures: Sequence[str] = ROW_MEASURES,
    *,
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> RowComparison:
    """Compare the features of two tables, encoded as `domain.encoding` says, by the measures named.

    The p-value of `mmd` is never below 1/(1 + `permutations`). Raises ConfigError for a measure that does not exist,
    DataError as `encode` does.
    """
    for name in measures:
        if name not in ROW_MEASURES:
            raise ConfigError(f"measure {name!r} does not exist; known are {', '.join(ROW_MEASURES)}")
    rows = encode(reference, current, schema)
    shares: dict[str, float] = {}
    weights = np.zeros(0)
    taken: list[Measure] = []
    for name in measures:
        if name == "classifier":
            found = classifier_test(rows.ref, rows.cur, rows.groups, rng)
            shares = dict(zip(rows.names, found.shares.tolist(), strict=True))
            weights = found.weights
            result = found.result._replace(detail=_largest(shares))
        else:
            result = _without_columns(name, rows, rng, permutations)
        taken.append(_measure(ALL_COLUMNS, name, result, rows.ref.shape[0], rows.cur.shape[0]))
    return RowComparison(measures=Measures(tuple(taken)), shares=shares, weights=weights)


def compare_scores(reference: npt.ArrayLike, current: npt.ArrayLike, classes: Sequence[str] = ()) -> Measures:
    """Black-box shift of a model's scores, (n, k) and (m, k) or (n,) and (m,): see `score_shift`.

    One measure `scores` of all dimensions, then `ks` of each, of a column `score[CLASS]`, whose p-value is Holm's over
    the dimensions. `classes` names them; 0, 1, … without it. Raises DataError when the shapes do not fit.
    """
    before, now = (_matrix(scores) for scores in (reference, current))
    names = tuple(classes) or tuple(str(k) for k in range(before.shape[1]))
    if before.shape[1] != now.shape[1] or len(names) != before.shape[1]:
        raise DataError(f"{now.shape[1]} scores per row of {len(names)} classes, the reference has {before.shape[1]}")
    shift = score_shift(before, now)
    overall = shift.result._replace(detail=names[int(shift.result.detail)] if shift.result.detail else "")
    taken = [_measure(ALL_COLUMNS, "scores", overall, before.shape[0], now.shape[0])]
    for k, (name, result) in enumerate(zip(names, shift.dimensions, strict=True)):
        if result.p_value is not None:
            n, m = (int((~np.isnan(scores[:, k])).sum()) for scores in (before, now))
            adjusted = result._replace(p_value=float(shift.adjusted[k]))
            taken.append(_measure(f"score[{name}]", "ks", adjusted, n, m))
    return Measures(tuple(taken))


def _without_columns(name: str, rows: Encoded, rng: np.random.Generator, permutations: int) -> Result:
    if name == "mmd":
        return mmd(rows.ref, rows.cur, rng, permutations=permutations)
    return reconstruction_shift(rows.ref.astype(np.float32), rows.cur.astype(np.float32))


def _largest(shares: Mapping[str, float]) -> str:
    """The features that contribute most, as whole percents."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])[:_NAMED]
    return ", ".join(f"{name} {share:.0%}" for name, share in ordered if share >= _LEAST)


def _matrix(scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != _MATRIX:
        raise DataError(f"scores of shape {array.shape}; expected (rows, classes)")
    return array


def _measure(column: str, name: str, result: Result, n: int, m: int) -> Measure:
    return Measure(
        column=column,
        measure=name,
        statistic=result.statistic,
        p_value=result.p_value,
        effect=result.effect,
        n_reference=n,
        n_current=m,
        detail=result.detail,
    )

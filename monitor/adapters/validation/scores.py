"""Scores that come with the rows, of a model that is served elsewhere: are they numbers that such a model can give?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from monitor.adapters.validation.typed import Finding, Typed, missing
from monitor.domain.quarantine import RowReason
from monitor.domain.schema import Schema

_ROUNDED = 0.01  # by which probabilities written with few digits may miss 1 together


def score_findings(schema: Schema, typed: Mapping[str, Typed]) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    """Column and what is wrong with it: missing, no probability, or classes that do not sum to 1 (at the first one)."""
    columns = list(schema.scores.values())
    for name in columns:
        yield name, missing(typed[name].values, RowReason.MISSING_SCORE)
    if not columns or schema.label is None or not schema.label.is_class:
        return
    scores = np.column_stack([typed[name].values.to_numpy(zero_copy_only=False) for name in columns])
    for name, column in zip(columns, scores.T, strict=True):
        yield name, _where(RowReason.SCORE_OUT_OF_RANGE, (column < 0) | (column > 1), column, "is outside 0..1")
    if len(columns) > 1:
        sums = scores.sum(axis=1)
        yield columns[0], _where(RowReason.SCORES_DO_NOT_SUM, np.abs(sums - 1) > _ROUNDED, sums, "is their sum, not 1")


def _where(
    reason: RowReason, bad: np.typing.NDArray[np.bool_], values: np.typing.NDArray[np.float64], complaint: str
) -> tuple[Finding, ...]:
    return (Finding(reason, bad, lambda at: f"{values[at]:.6g} {complaint}"),) if bad.any() else ()

"""Rows of doubtful quality are left out: repeated ones, values far out of range, and labels that are probably wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.checks.comparison import Answers
from monitor.domain.schema import Kind, Schema
from monitor.domain.selection.selection import Positions, Selection
from monitor.errors import DataError

_MOST_LEFT_OUT = 0.5  # of the rows: above it the rule is wrong and not the data
_FAR = 6.0  # robust standard deviations of the errors of a regression
_NORMAL_QUARTILE = 0.6745  # of a standard normal distribution

Mask = npt.NDArray[np.bool_]


def curated(
    table: Any,
    schema: Schema,
    target: npt.NDArray[Any],
    classes: Sequence[str],
    cross_validated: Callable[[], Answers],
) -> Selection:
    """All rows without the doubtful ones; how many of each kind is told. A row counts for the first that applies.

    Raises DataError when more than half of the rows would be left out.
    """
    duplicate = repeated(table, schema, target)
    outside = out_of_range(table, schema) & ~duplicate
    wrong = suspected(cross_validated(), classes) & ~duplicate & ~outside
    rows: Positions = np.flatnonzero(~(duplicate | outside | wrong))
    counts = {"duplicates": duplicate, "out_of_range": outside, "suspected_labels": wrong}
    facts = {name: float(mask.sum()) for name, mask in counts.items()}
    if len(rows) < _MOST_LEFT_OUT * len(target):
        listed = ", ".join(f"{name.replace('_', ' ')} {count:.0f}" for name, count in facts.items())
        raise DataError(f"{len(target) - len(rows)} of {len(target)} rows would be left out: {listed}")
    return Selection(rows, facts=facts)


def repeated(table: Any, schema: Schema, target: npt.NDArray[Any]) -> Mask:
    """True for rows that come again, later, with the same features, label and timestamp: the last one stays."""
    n = len(target)
    key = np.unique(target, return_inverse=True)[1]
    names = [*schema.features, *([schema.timestamp] if schema.timestamp else [])]
    for name in names:
        key = np.unique(np.stack([key, _codes(table, schema, name)]), axis=1, return_inverse=True)[1].reshape(-1)
    last = np.zeros(n, dtype=np.intp)
    last[key] = np.arange(n)  # of equal keys the last assignment stays
    mask: Mask = last[key] != np.arange(n)
    return mask


def out_of_range(table: Any, schema: Schema) -> Mask:
    """True where a number is farther outside the middle 98% of its column than those are wide."""
    numeric = schema.columns_of(Kind.NUMERIC)
    n = len(cols.column(table, next(iter(schema.features))))
    outside = np.zeros(n, dtype=np.bool_)
    for name in numeric:
        values = cols.numbers(cols.column(table, name), name)
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            continue
        low, high = np.quantile(finite, [0.01, 0.99])
        if high > low:
            outside |= (values < low - (high - low)) | (values > high + (high - low))
    return outside


def suspected(answers: Answers, classes: Sequence[str]) -> Mask:
    """True where the label is probably wrong, by models that have not seen the row.

    Classes: some other class is at least as probable as it is on average on its own rows, and its probability is the
    largest of such (confident learning [1]_). Values: the error is 6 robust standard deviations from the median one.

    References
    ----------
    .. [1] Northcutt, Jiang, Chuang (2021), JAIR 70, 1373-1411, equations 1 and 2.
    """
    if not classes:
        middle = np.median(answers.losses)
        spread = float(np.median(np.abs(answers.losses - middle))) / _NORMAL_QUARTILE
        far: Mask = answers.losses > middle + _FAR * spread
        return far
    onehot = np.eye(len(classes))[answers.target]
    counts = onehot.sum(axis=0)
    usual = np.where(counts > 0, (onehot * answers.scores).sum(axis=0) / np.maximum(counts, 1), np.inf)
    confident = np.where(answers.scores >= usual, answers.scores, -1.0)
    best = confident.argmax(axis=1)
    wrong: Mask = (confident.max(axis=1) >= 0) & (best != answers.target)
    return wrong


def _codes(table: Any, schema: Schema, name: str) -> npt.NDArray[np.intp]:
    """Equal cells have equal codes."""
    values = cols.column(table, name)
    kind = schema.features.get(name)
    if kind is not None and kind.is_array:
        cells = [cell.tobytes() for cell in cols.matrix(values, name, kind)]
        return np.unique(np.array(cells, dtype=object), return_inverse=True)[1]
    if kind is Kind.NUMERIC:
        return np.unique(cols.numbers(values, name), return_inverse=True)[1]
    if kind is None:
        return np.unique(cols.moments(values, name), return_inverse=True)[1]
    return cols.codes(values, name)[0].astype(np.intp)

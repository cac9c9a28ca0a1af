"""The rows of two tables as numbers on common scales, for the measures that look at all columns at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.schema import Kind, Schema
from monitor.errors import DataError
from monitor.stats.pca import Pca

Rows = npt.NDArray[np.float64]

_MAX_LEVELS = 20  # rarer levels are one more level together
_LARGEST = 6.0  # scaled values are cut there, so that one cell cannot outweigh a batch
_FINITE = 1e150  # larger numbers are cut before anything is computed that could overflow
_IQR_OF_NORMAL = 1.349  # interquartile range of the standard normal distribution
_LEVEL = np.sqrt(0.5)  # two rows of different levels are at distance 1


@dataclass(frozen=True, slots=True)
class Encoded:
    """`ref` (n, d) and `cur` (m, d), finite; `groups` (d,) says of which of the features `names` each column is."""

    names: tuple[str, ...]
    groups: npt.NDArray[np.int64]
    ref: Rows
    cur: Rows


def encode(reference: Any, current: Any, schema: Schema) -> Encoded:
    """Encode the features of two tables; see `domain.columns` for what may be a table.

    Scales, levels and components are those of the rows of both tables together: they do not depend on which row is of
    which table, so that a test on the result stays valid. Numbers are centred by the median, divided by the
    interquartile range (that of a normal distribution is 1.349 standard deviations), cut at ±6; infinities are cut
    too, missing ones are 0 with a column of their own that says so. Levels are one column each. An image or vector is
    its principal components, what they leave, and its mean, as in a `Reference`.

    Raises DataError naming the column that is missing, cannot be read as its kind, or is of another length.
    """
    blocks: list[Rows] = []
    split, total = 0, 0
    for name, kind in schema.features.items():
        block, first = _pooled(reference, current, name, kind)
        if blocks and (first, block.shape[0]) != (split, total):
            found = f"{first} and {block.shape[0] - first} rows"
            raise DataError(f"{found}, the columns before have {split} and {total - split}", column=name)
        split, total = first, block.shape[0]
        blocks.append(block)
    groups = np.repeat(np.arange(len(blocks)), [block.shape[1] for block in blocks])
    whole = np.concatenate(blocks, axis=1) if blocks else np.zeros((0, 0))
    return Encoded(tuple(schema.features), groups, whole[:split], whole[split:])


def _pooled(reference: Any, current: Any, name: str, kind: Kind) -> tuple[Rows, int]:
    """The feature of both tables, one after the other, and how many rows are of the first."""
    before, now = cols.column(reference, name), cols.column(current, name)
    if kind is Kind.NUMERIC:
        numbers = [cols.numbers(values, name) for values in (before, now)]
        return scaled(np.concatenate(numbers)), numbers[0].size
    if kind.is_array:
        cells = [cols.matrix(values, name, kind) for values in (before, now)]
        return _reduced(cells[0], cells[1], name), cells[0].shape[0]
    read = cols.boolean_codes if kind is Kind.BOOLEAN else cols.codes
    (codes, levels), (more, others) = read(before, name), read(now, name)
    place = {level: i for i, level in enumerate(dict.fromkeys([*levels, *others]))}
    of_others = np.array([place[level] for level in others] + [-1], dtype=np.int32)  # code −1 takes the last place
    return _indicators(np.concatenate([codes, of_others[more]]), len(place)), codes.size


def scaled(values: Rows) -> Rows:
    """Numbers (n,) by median and interquartile range, and a column for missing ones if there are any: (n, 1 or 2)."""
    missing = np.isnan(values)
    held = np.clip(values, -_FINITE, _FINITE)
    if missing.all():
        return np.zeros((values.size, 1))
    low, middle, high = np.quantile(held[~missing], [0.25, 0.5, 0.75])
    scale = (high - low) / _IQR_OF_NORMAL or float(np.std(held[~missing])) or 1.0
    block = np.clip((held - middle) / scale, -_LARGEST, _LARGEST)[:, None]
    block[missing] = 0.0
    return np.concatenate([block, missing[:, None]], axis=1) if missing.any() else block


def _indicators(codes: npt.NDArray[np.int32], levels: int) -> Rows:
    """One column for each frequent level, one for all others if there are any, one for missing if there are any."""
    counts = np.bincount(codes + 1, minlength=levels + 1)[1:]
    frequent = np.argsort(-counts, kind="stable")[:_MAX_LEVELS]
    place = np.full(levels + 1, frequent.size)  # all others
    place[frequent] = np.arange(frequent.size)
    place[-1] = frequent.size + 1  # missing: code −1
    block = np.zeros((codes.size, frequent.size + 2))
    block[np.arange(codes.size), place[codes]] = _LEVEL
    return block[:, block.any(axis=0)] if block.any() else block[:, :1]


def _reduced(before: npt.NDArray[np.float32], now: npt.NDArray[np.float32], name: str) -> Rows:
    if before.shape[1] != now.shape[1] and min(before.shape[0], now.shape[0]) > 0:
        raise DataError(f"{now.shape[1]} cells per row, the reference has {before.shape[1]}", column=name)
    width = max(before.shape[1], now.shape[1])
    held = [part for part in (before, now) if part.shape[0] > 0]
    if width == 0 or not held:
        return np.zeros((before.shape[0] + now.shape[0], 1))
    cells = np.concatenate(held)
    return np.concatenate([scaled(values) for values in Pca.of(cells).reduce(cells).values()], axis=1)

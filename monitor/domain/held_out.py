"""A sample of the rows that a version was held out on, as numbers, so that a batch can be compared with them by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.column_codes import Rows
from monitor.domain.encoding import Encoding
from monitor.domain.packed import Arrays
from monitor.domain.schema import Schema
from monitor.stats.estimation.covariate_shift import Powers
from monitor.stats.losses import absolute_error, log_loss

MOST_ROWS = 10_000
_FEWEST_ROWS = 1_000  # of a very wide table
_MOST_CELLS = 8_000_000  # encoded numbers that are kept: 32 MB
_ROWS_TO_LEARN_FROM = 20_000  # scales and levels hardly change with more


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Row i is the same row everywhere: `features` (n, d), `scores` (n, k) or (n,), `target` (n,).

    n ≤ 10,000, evenly spread over the held-out rows of known label, fewer of a table of more than 800 encoded columns.
    `scores` are the model's, as it gave them; `target` has codes of classes or, for regression, values. Any number is
    kept in 32 bits, and columns in which every kept row is 0 are not kept: `told` has the places of those that are.
    """

    encoding: Encoding
    told: npt.NDArray[np.int64]
    cells: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    target: npt.NDArray[Any]  # int32 codes or float64 values

    @classmethod
    def fit(cls, frame: Any, schema: Schema, scores: npt.NDArray[np.float64], target: npt.NDArray[Any]) -> HeldOut:
        """`scores` and `target` are of the last rows of `frame`; the encoding is learnt from rows of all of it.

        Rows of an unknown class (−1), or that are not in `frame`, are left out. Raises DataError as `Encoding.fit`.
        """
        columns = {name: cols.column(frame, name) for name in schema.features}
        rows = len(next(iter(columns.values())))
        encoding = Encoding.fit([_taken(columns, _spread(np.arange(rows), _ROWS_TO_LEARN_FROM))], schema)
        known = np.arange(len(target)) >= len(target) - rows
        if scores.ndim > 1:
            known &= target >= 0
        most = max(_FEWEST_ROWS, min(MOST_ROWS, _MOST_CELLS // max(encoding.groups.size, 1)))
        at = _spread(np.flatnonzero(known), most)
        whole = encoding.apply(_taken(columns, at + rows - len(target)))
        told = np.flatnonzero(whole.any(axis=0))
        kept = target[at].astype(np.int32 if scores.ndim > 1 else np.float64)
        return cls(encoding, told, whole[:, told].astype(np.float32), scores[at].astype(np.float32), kept)

    @property
    def rows(self) -> int:
        return len(self.target)

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of the schema."""
        return self.encoding.names

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """Which of `names` each column of `features` is of, (d,)."""
        return self.encoding.groups

    @property
    def features(self) -> Rows:
        """Shape (n, d), made anew at every call."""
        whole = np.zeros((self.rows, self.groups.size))
        whole[:, self.told] = self.cells
        return whole

    def encode(self, rows: Any) -> Rows:
        """The features of a table as `features` has them, (m, d), to the precision that is kept.

        Raises DataError naming a column that is missing, cannot be read as its kind, or is of another length.
        """
        return self.encoding.apply(rows)

    def powers(self, rows: Any) -> Powers:
        """Those of `encode`, without it."""
        return self.encoding.powers(rows)

    def losses(self) -> Rows:
        """Log loss or absolute error of each row, (n,)."""
        scores = self.scores.astype(np.float64)
        return log_loss(scores, self.target) if scores.ndim > 1 else absolute_error(scores, self.target)

    def to_plain(self) -> tuple[dict[str, Any], Arrays]:
        """JSON values and arrays; `from_plain` is the inverse."""
        plain, arrays = self.encoding.to_plain()
        of_encoding = {f"encoding.{name}": array for name, array in arrays.items()}
        own: Arrays = {name: getattr(self, name) for name in _ARRAYS}
        return plain, {**of_encoding, **own}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], arrays: Arrays) -> HeldOut:
        of_encoding = {
            name.removeprefix("encoding."): array for name, array in arrays.items() if name.startswith("encoding.")
        }
        return cls(Encoding.from_plain(plain, of_encoding), **{name: arrays[name] for name in _ARRAYS})


_ARRAYS = ("told", "cells", "scores", "target")


def _spread(places: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """All of them, or so many evenly spread ones."""
    if places.size <= most:
        return places
    return places[np.linspace(0, places.size - 1, most).round().astype(np.intp)]


def _taken(columns: Mapping[str, Any], at: npt.NDArray[np.intp]) -> dict[str, Any]:
    return {name: cols.take(columns, name, at) for name in columns}

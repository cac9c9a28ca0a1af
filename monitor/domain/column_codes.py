"""How one feature is written as a few columns of numbers on a common scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.packed import Arrays
from monitor.domain.private import veil
from monitor.domain.schema import Kind, Schema
from monitor.errors import DataError
from monitor.stats.pca import Pca

Rows = npt.NDArray[np.float64]
Cells = npt.NDArray[np.float32]

_MAX_LEVELS = 20  # rarer levels are one more level together
_LARGEST = 6.0  # scaled values are cut there, so that one cell cannot outweigh a batch
_FINITE = 1e150  # larger numbers are cut before anything is computed that could overflow
_IQR_OF_NORMAL = 1.349  # interquartile range of the standard normal distribution
_LEVEL = np.sqrt(0.5)  # two rows of different levels are at distance 1


class ColumnCode(Protocol):
    """The last of `width` columns says which rows are missing; all others are 0 there."""

    @property
    def width(self) -> int: ...

    def apply(self, values: Any, name: str) -> Cells:
        """Shape (n, `width`), finite, each column in one piece of memory, so that those of a table are put together
        and summed up fast. Raises DataError naming the column when it cannot be read as its kind.
        """
        ...

    def sums(self, values: Any, name: str) -> tuple[int, Rows]:
        """How many rows, and of each column the sums that `Powers.of_sums` takes, (4, `width`), without the columns."""
        ...

    def to_plain(self) -> tuple[dict[str, Any], Arrays]:
        """JSON values and arrays: `code_from_plain` is the inverse."""
        ...


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers are centred by the median and divided by the interquartile range, as of a normal distribution."""

    middle: float
    unit: float

    @classmethod
    def of(cls, values: Rows) -> Scale:
        """NaN is left out. The standard deviation where the interquartile range is 0, and 1 where that is 0 too."""
        held = np.clip(values[~np.isnan(values)], -_FINITE, _FINITE)
        if held.size == 0:
            return cls(0.0, 1.0)
        low, middle, high = np.quantile(held, [0.25, 0.5, 0.75]).tolist()
        return cls(middle, (high - low) / _IQR_OF_NORMAL or float(np.std(held)) or 1.0)

    def apply(self, values: Rows) -> Rows:
        """Cut at ±6; NaN becomes 0."""
        with np.errstate(over="ignore"):
            scaled = np.clip((np.clip(values, -_FINITE, _FINITE) - self.middle) / self.unit, -_LARGEST, _LARGEST)
        scaled[np.isnan(scaled)] = 0.0
        return scaled


@dataclass(frozen=True, slots=True)
class NumberCode:
    scale: Scale

    @classmethod
    def of(cls, columns: Sequence[Any], name: str) -> NumberCode:
        return cls(Scale.of(np.concatenate([cols.numbers(values, name) for values in columns])))

    @property
    def width(self) -> int:
        return 2

    def apply(self, values: Any, name: str) -> Cells:
        numbers = cols.numbers(values, name)
        return np.array([self.scale.apply(numbers), np.isnan(numbers)], dtype=np.float32).T

    def sums(self, values: Any, name: str) -> tuple[int, Rows]:
        numbers = cols.numbers(values, name)
        missing = float(np.count_nonzero(np.isnan(numbers)))
        found = np.empty((4, self.width))
        found[:, 0], found[:, 1] = _sums(self.scale.apply(numbers)), missing
        return numbers.size, found

    def to_plain(self) -> tuple[dict[str, Any], Arrays]:
        return {"kind": Kind.NUMERIC.value}, {"scales": np.array([[self.scale.middle, self.scale.unit]])}


@dataclass(frozen=True, slots=True)
class LevelCode:
    """One column for each of `levels`, the frequent ones, one for all others, one for missing."""

    kind: Kind  # categorical or boolean
    levels: tuple[str, ...]
    private: bool = False  # then the levels are veiled

    @classmethod
    def of(cls, columns: Sequence[Any], name: str, kind: Kind, *, private: bool) -> LevelCode:
        counts: dict[str, int] = {}
        for values in columns:
            codes, levels = _levels(values, name, kind, private=private)
            held = np.bincount(codes + 1, minlength=len(levels) + 1)[1:].tolist()
            for level, count in zip(levels, held, strict=True):
                counts[level] = counts.get(level, 0) + count
        seen = [level for level in counts if counts[level]]
        return cls(kind, tuple(sorted(seen, key=lambda level: -counts[level])[:_MAX_LEVELS]), private)

    @property
    def width(self) -> int:
        return len(self.levels) + 2

    def apply(self, values: Any, name: str) -> Cells:
        place = self._places(values, name)
        block = np.zeros((self.width, place.size), dtype=np.float32)
        block[place, np.arange(place.size)] = _LEVEL
        return block.T

    def sums(self, values: Any, name: str) -> tuple[int, Rows]:
        place = self._places(values, name)
        powers = float(np.float32(_LEVEL)) ** np.array([[1.0], [2.0], [4.0], [0.0]])
        return place.size, powers * np.bincount(place, minlength=self.width)

    def _places(self, values: Any, name: str) -> npt.NDArray[np.int64]:
        """Which of the columns is not 0, row by row."""
        codes, levels = _levels(values, name, self.kind, private=self.private)
        column = {level: i for i, level in enumerate(self.levels)}
        others = len(self.levels)
        place = np.array([column.get(level, others) for level in levels] + [others + 1])  # code −1 takes the last place
        found: npt.NDArray[np.int64] = place[codes]
        return found

    def to_plain(self) -> tuple[dict[str, Any], Arrays]:
        return {"kind": self.kind.value, "levels": list(self.levels), "private": self.private}, {}


@dataclass(frozen=True, slots=True)
class ArrayCode:
    """Principal components of an image or vector, what they leave, and its mean, each by one of `scales`."""

    kind: Kind
    pca: Pca
    scales: tuple[Scale, ...]

    @classmethod
    def of(cls, columns: Sequence[Any], name: str, kind: Kind) -> ArrayCode:
        parts = [cells for values in columns if (cells := cols.matrix(values, name, kind)).size]
        if not parts:
            return cls(kind, Pca(np.zeros(0, np.float32), np.zeros((0, 0), np.float32)), ())
        for cells in parts[1:]:
            _same_length(cells, parts[0].shape[1], name)
        whole = np.concatenate(parts)
        pca = Pca.of(whole)
        return cls(kind, pca, tuple(Scale.of(values) for values in pca.reduce(whole).values()))

    @property
    def width(self) -> int:
        return len(self.scales) + 1

    def apply(self, values: Any, name: str) -> Cells:
        cells = cols.matrix(values, name, self.kind)
        block = np.zeros((cells.shape[0], self.width), dtype=np.float32, order="F")
        block[:, -1] = np.isnan(cells).any(axis=1) | (cells.shape[1] == 0)
        if cells.size and self.scales:
            _same_length(cells, self.pca.center.size, name)
            for i, (reduced, scale) in enumerate(zip(self.pca.reduce(cells).values(), self.scales, strict=True)):
                block[:, i] = scale.apply(reduced)
        return block

    def sums(self, values: Any, name: str) -> tuple[int, Rows]:
        block = self.apply(values, name)
        return len(block), np.array([_sums(column) for column in block.T]).reshape(-1, 4).T

    def to_plain(self) -> tuple[dict[str, Any], Arrays]:
        scales = np.array([[scale.middle, scale.unit] for scale in self.scales]).reshape(-1, 2)
        return {"kind": self.kind.value}, {
            "scales": scales,
            "center": self.pca.center,
            "components": self.pca.components,
        }


def code_of(columns: Sequence[Any], name: str, schema: Schema) -> ColumnCode:
    """Scales, levels and components of the rows of all `columns` together, which are the same feature of some tables.

    Raises DataError naming the column that cannot be read as its kind.
    """
    kind = schema.features[name]
    if kind is Kind.NUMERIC:
        return NumberCode.of(columns, name)
    if kind.is_array:
        return ArrayCode.of(columns, name, kind)
    return LevelCode.of(columns, name, kind, private=name in schema.private)


def code_from_plain(plain: Mapping[str, Any], arrays: Arrays) -> ColumnCode:
    kind = Kind(plain["kind"])
    scales = [Scale(middle, unit) for middle, unit in arrays["scales"].tolist()] if "scales" in arrays else []
    if kind is Kind.NUMERIC:
        return NumberCode(scales[0])
    if kind.is_array:
        return ArrayCode(kind, Pca(arrays["center"], arrays["components"]), tuple(scales))
    return LevelCode(kind, tuple(plain["levels"]), plain["private"])


def _levels(values: Any, name: str, kind: Kind, *, private: bool) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    codes, levels = cols.boolean_codes(values, name) if kind is Kind.BOOLEAN else cols.codes(values, name)
    return codes, veil(levels, name) if private else levels


def _sums(column: npt.NDArray[np.floating]) -> tuple[float, float, float, int]:
    """As `ColumnCode.sums`, of one column, to the precision that is kept."""
    x = column.astype(np.float32).astype(np.float64)
    square = x * x
    return float(x.sum()), float(square.sum()), float(square @ square), int(np.count_nonzero(x))


def _same_length(cells: npt.NDArray[np.float32], expected: int, name: str) -> None:
    if cells.shape[1] != expected:
        raise DataError(f"{cells.shape[1]} cells per row, the reference has {expected}", column=name)

"""The rows of a table as numbers on common scales, for the measures that look at all columns at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.column_codes import ColumnCode, Rows, code_from_plain, code_of
from monitor.domain.packed import Arrays
from monitor.domain.schema import Schema
from monitor.errors import DataError
from monitor.stats.estimation.covariate_shift import Powers


@dataclass(frozen=True, slots=True)
class Encoding:
    """One code for each of the features `names`, in their order.

    Numbers are centred by the median, divided by the interquartile range (that of a normal distribution is 1.349
    standard deviations), cut at ±6; infinities are cut too, missing ones are 0 with a column of their own that says so.
    Levels are one column each. An image or vector is its principal components, what they leave, and its mean, as in a
    `Reference`. See `domain.columns` for what may be a table.
    """

    names: tuple[str, ...]
    codes: tuple[ColumnCode, ...]

    @classmethod
    def fit(cls, tables: Sequence[Any], schema: Schema) -> Encoding:
        """From the rows of all tables together. Raises DataError naming the column that is missing or unreadable."""
        codes = [code_of([cols.column(table, name) for table in tables], name, schema) for name in schema.features]
        return cls(tuple(schema.features), tuple(codes))

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """For each column of `apply`, (d,), which of the features it is of."""
        return np.repeat(np.arange(len(self.codes)), [code.width for code in self.codes])

    def apply(self, table: Any) -> Rows:
        """Shape (n, d), finite, to 32 bits.

        Raises DataError naming the column that is missing, unreadable or of another length.
        """
        whole, at = np.zeros((0, 0)), 0
        for name, code in zip(self.names, self.codes, strict=True):
            block = code.apply(cols.column(table, name), name)
            if at == 0:
                whole = np.empty((block.shape[0], sum(code.width for code in self.codes)), order="F")
            elif block.shape[0] != whole.shape[0]:
                raise DataError(f"{block.shape[0]} rows, the columns before have {whole.shape[0]}", column=name)
            whole[:, at : at + code.width] = block
            at += code.width
        return whole

    def powers(self, table: Any) -> Powers:
        """Those of the columns of `apply`, up to rounding, at half the cost. Raises DataError as it does."""
        rows, found = 0, list[Rows]()
        for name, code in zip(self.names, self.codes, strict=True):
            here, sums = code.sums(cols.column(table, name), name)
            if found and here != rows:
                raise DataError(f"{here} rows, the columns before have {rows}", column=name)
            rows = here
            found.append(sums)
        return Powers.of_sums(rows, np.hstack(found) if found else np.zeros((4, 0)))

    def to_plain(self) -> tuple[dict[str, Any], Arrays]:
        """JSON values and arrays; `from_plain` is the inverse."""
        parts = [code.to_plain() for code in self.codes]
        arrays = {f"{i}.{part}": array for i, (_, found) in enumerate(parts) for part, array in found.items()}
        return {"names": list(self.names), "codes": [plain for plain, _ in parts]}, arrays

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], arrays: Arrays) -> Encoding:
        parts: list[Arrays] = [{} for _ in plain["codes"]]
        for key, array in arrays.items():
            number, part = key.split(".")
            parts[int(number)][part] = array
        codes = [code_from_plain(code, found) for code, found in zip(plain["codes"], parts, strict=True)]
        return cls(tuple(plain["names"]), tuple(codes))


@dataclass(frozen=True, slots=True)
class Encoded:
    """`ref` (n, d) and `cur` (m, d), finite; `groups` (d,) says of which of the features `names` each column is."""

    names: tuple[str, ...]
    groups: npt.NDArray[np.int64]
    ref: Rows
    cur: Rows


def encode(reference: Any, current: Any, schema: Schema) -> Encoded:
    """Encode the features of two tables by scales, levels and components of the rows of both together.

    So they do not depend on which row is of which table, and a test on the result stays valid. Columns that say
    nothing, being 0 in every row, are left out; each feature keeps its first.

    Raises DataError naming the column that is missing, cannot be read as its kind, or is of another length.
    """
    encoding = Encoding.fit((reference, current), schema)
    ref, cur = encoding.apply(reference), encoding.apply(current)
    groups = encoding.groups
    told = ref.any(axis=0) | cur.any(axis=0) | (np.diff(groups, prepend=-1) > 0)
    return Encoded(encoding.names, groups[told], ref[:, told], cur[:, told])

"""Arrow rows as the pandas frame that models are given: see `monitor.domain.model.TrainingData`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from monitor.domain.schema import Kind, Schema
from monitor.errors import DataError


def to_features(rows: pa.Table, schema: Schema) -> pd.DataFrame:
    """The schema's features in its order; other columns are left out. Raises DataError for a missing column."""
    columns = {}
    for name, kind in schema.features.items():
        if name not in rows.column_names:
            raise DataError(f"missing; there are {', '.join(rows.column_names)}", column=name)
        columns[name] = _column(_one_chunk(rows.column(name)), kind)
    return pd.DataFrame(columns, copy=False)


def _column(column: pa.Array, kind: Kind) -> npt.NDArray[np.float64] | pd.Series | pd.Categorical:
    if kind is Kind.NUMERIC:
        values: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return values
    if kind is Kind.CATEGORICAL:
        return _category(column)
    if kind is Kind.BOOLEAN:
        return _category(pc.if_else(column.cast(pa.bool_()), "true", "false"))
    return _arrays(column)


def _category(column: pa.Array) -> pd.Categorical:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    levels = column.dictionary.cast(pa.string()).to_pylist()
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels, dtype=object))


def _arrays(column: pa.Array) -> pd.Series:
    """One float32 array per row, views of one block; a missing value is an array of NaN."""
    width = column.type.list_size
    block: npt.NDArray[np.float32] = np.full((len(column), width), np.nan, dtype=np.float32)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.flatten().cast(pa.float32())  # missing rows are left out
    block[present] = values.to_numpy(zero_copy_only=False).reshape(-1, width)
    cells = np.empty(len(column), dtype=object)
    cells[:] = list(block)
    return pd.Series(cells)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else combined.chunk(0)

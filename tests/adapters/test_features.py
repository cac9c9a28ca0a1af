"""Arrow rows become the frame that models are promised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.features import to_features
from monitor.domain.schema import Schema
from monitor.errors import DataError

SCHEMA = Schema(
    features={"n": "numeric", "c": "categorical", "b": "boolean", "image": "image", "v": "vector"},
    id="id",
    timestamp="at",
)


def table(numbers, levels, flags, width=4) -> pa.Table:
    rows = len(numbers)
    cells = [None if i % 3 == 2 else [float(i)] * width for i in range(rows)]
    arrays = pa.array(cells, pa.list_(pa.float32(), width))
    return pa.table(
        {
            "id": [str(i) for i in range(rows)],
            "n": pa.array(numbers, pa.float64()),
            "c": pa.array(levels, pa.string()).dictionary_encode(),
            "b": pa.array(flags, pa.bool_()),
            "image": arrays,
            "v": arrays,
        }
    )


rows_of = st.lists(
    st.tuples(
        st.none() | st.floats(-1e9, 1e9), st.none() | st.sampled_from(["x", "y", "", "nan"]), st.none() | st.booleans()
    ),
    max_size=12,
)


@given(rows_of, st.integers(0, 12))
def test_values_survive_in_order_however_the_table_is_chunked(rows, cut):
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    whole = table(*columns)
    chunked = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])
    frame = to_features(chunked, SCHEMA)

    assert list(frame) == ["n", "c", "b", "image", "v"]
    np.testing.assert_array_equal(frame.n, [np.nan if v is None else v for v in columns[0]])
    assert frame.c.astype(object).where(frame.c.notna(), None).tolist() == columns[1]
    words = {True: "true", False: "false", None: None}
    assert frame.b.astype(object).where(frame.b.notna(), None).tolist() == [words[v] for v in columns[2]]
    for i, cell in enumerate(frame.image):
        assert cell.dtype == np.float32
        np.testing.assert_array_equal(cell, np.full(4, np.nan if i % 3 == 2 else i))


def test_types_are_the_documented_ones_also_for_no_rows():
    frame = to_features(table([], [], []), SCHEMA)
    assert frame.n.dtype == np.float64
    assert isinstance(frame.c.dtype, pd.CategoricalDtype) and isinstance(frame.b.dtype, pd.CategoricalDtype)
    assert frame.shape == (0, 5)


def test_chunks_with_different_dictionaries_are_unified():
    parts = [pa.table({"c": pa.array(levels).dictionary_encode()}) for levels in (["x", "y"], ["z", "x"])]
    frame = to_features(pa.concat_tables(parts), Schema(features={"c": "categorical"}))
    assert frame.c.tolist() == ["x", "y", "z", "x"]


def test_a_round_trip_through_parquet_changes_nothing(tmp_path):
    before = table([1.0, None, 3.0, 4.0], ["x", None, "y", "x"], [True, None, False, True])
    pq.write_table(before, tmp_path / "rows.parquet")
    after = to_features(pq.read_table(tmp_path / "rows.parquet"), SCHEMA)
    pd.testing.assert_frame_equal(after[["n", "c", "b"]], to_features(before, SCHEMA)[["n", "c", "b"]])


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="column 'n': missing; there are c"):
        to_features(pa.table({"c": ["x"]}), Schema(features={"n": "numeric"}))

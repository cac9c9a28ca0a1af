from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from monitor import Schema
from monitor.domain import columns as cols
from monitor.domain.schema import Kind, LabelKind
from monitor.errors import DataError

NAN = np.nan


@pytest.mark.parametrize(
    "column",
    [
        np.array([1.0, NAN, 3.0]),
        pd.Series([1.0, NAN, 3.0]),
        pd.Series([1, None, 3], dtype="Int64"),
        pd.Series([1, None, 3], dtype="Float32"),
        pd.Series([Decimal(1), None, Decimal(3)], dtype=object),
        pd.Series([1.0, NAN, 3.0], dtype="category"),
        pa.array([1, None, 3]),
        pa.chunked_array([[1.0], [None, 3.0]]),
        pa.array([1, None, 3]).dictionary_encode(),
        pl.Series([1, None, 3]),
        [1, None, 3],
    ],
    ids=lambda c: f"{type(c).__name__}-{getattr(c, 'dtype', getattr(c, 'type', ''))}",
)
def test_numbers_of_any_table(column):
    got = cols.numbers(column, "x")
    assert got.dtype == np.float64
    assert got == pytest.approx([1.0, NAN, 3.0], nan_ok=True)


def test_booleans_with_nulls_are_numbers_when_asked_for():
    assert cols.numbers(pd.Series([True, None, False], dtype="boolean"), "x") == pytest.approx([1, NAN, 0], nan_ok=True)
    assert cols.numbers(np.array([True, False]), "x").tolist() == [1.0, 0.0]


def test_float64_is_not_copied():
    series = pd.Series([1.0, 2.0])
    assert np.shares_memory(cols.numbers(series, "x"), series.to_numpy())


@pytest.mark.parametrize("column", [["1", "2"], pd.Series(pd.to_datetime(["2024-01-01"])), np.zeros((2, 2))])
def test_what_is_no_number_names_the_column(column):
    with pytest.raises(DataError, match="column 'price'"):
        cols.numbers(column, "price")


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pd.Series(["a", None, "b", "a"]), ["a", None, "b", "a"]),
        (pd.Series(["a", NAN, "b", "a"], dtype=object), ["a", None, "b", "a"]),
        (pd.Series(["a", None, "b", "a"], dtype="string"), ["a", None, "b", "a"]),
        (pd.Series(["a", None, "b", "a"], dtype="category"), ["a", None, "b", "a"]),
        (pa.chunked_array([["a", None], ["b", "a"]]), ["a", None, "b", "a"]),
        (pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]), ["a", "b"]),
        (pa.array(["a", None], type=pa.large_string()), ["a", None]),
        (pl.Series(["a", None, "b"], dtype=pl.Categorical), ["a", None, "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1, 2, 1]), ["1", "2", "1"]),
        (np.array([1.0, NAN, 2.5]), ["1", None, "2.5"]),
        (pd.Series([1, "1", 1.0, None, True], dtype=object), ["1", "1", "1", None, "true"]),
        (pd.Series([1.0, 2.0], dtype="category"), ["1", "2"]),
        (pa.array([True, None, False]), ["true", None, "false"]),
        (pa.array([None, None]), [None, None]),
    ],
)
def test_codes_of_any_table(column, texts):
    codes, levels = cols.codes(column, "x")
    assert codes.dtype == np.int32
    assert len(set(levels)) == len(levels)
    assert [None if code < 0 else levels[code] for code in codes] == texts


def test_booleans_may_come_as_ones_and_zeros():
    for column in (np.array([1, 0, 1]), ["True", "False", "true"], pa.array([True, False, True])):
        codes, levels = cols.boolean_codes(column, "x")
        assert [levels[code] for code in codes] == ["true", "false", "true"]


IMAGE = np.array([[0, 51], [102, 255]], dtype=np.uint8)


@pytest.mark.parametrize(
    "column",
    [
        np.stack([IMAGE, IMAGE]),
        pd.Series([IMAGE, IMAGE]),
        pd.Series([IMAGE.tobytes(), IMAGE.tobytes()]),
        pa.array([IMAGE.tobytes(), IMAGE.tobytes()]),
        pa.array([IMAGE.ravel().tolist()] * 2, type=pa.list_(pa.uint8())),
        pa.FixedSizeListArray.from_arrays(pa.array(np.tile(IMAGE.ravel(), 3)), 4).slice(1),
        pa.array([(IMAGE.ravel() / 255).tolist()] * 2, type=pa.list_(pa.float32(), 4)),
        pl.Series([IMAGE.ravel().tolist()] * 2, dtype=pl.Array(pl.UInt8, 4)),
    ],
    ids=lambda c: f"{type(c).__name__}-{getattr(c, 'dtype', getattr(c, 'type', ''))}",
)
def test_images_of_any_table(column):
    got = cols.matrix(column, "x", Kind.IMAGE)
    assert got.dtype == np.float32
    assert got == pytest.approx(np.array([[0, 0.2, 0.4, 1]] * 2), abs=1e-6)


def test_missing_vectors_are_rows_of_nan():
    got = cols.matrix(pa.array([[1.0, 2.0], None]), "x", Kind.VECTOR)
    assert got == pytest.approx(np.array([[1, 2], [NAN, NAN]]), nan_ok=True)


def test_a_vector_of_another_length_names_column_and_row():
    with pytest.raises(DataError, match=r"column 'v', row 3: 1 cells, the rows before have 2"):
        cols.matrix([[1.0, 2.0], None, [1.0]], "v", Kind.VECTOR)


@pytest.mark.parametrize(
    "table", [{"a": [1]}, pd.DataFrame({"a": [1]}), pa.table({"a": [1]}), pl.DataFrame({"a": [1]})]
)
def test_a_missing_column_is_named_whatever_the_table(table):
    assert cols.names(table) == ("a",)
    with pytest.raises(DataError, match="column 'b'"):
        cols.column(table, "b")


FRAME = pd.DataFrame(
    {
        "row": range(6),
        "at": pd.date_range("2024-01-01", periods=6, tz="UTC"),
        "price": [1.0, 2.0, None, 4.0, 5.0, 6.0],
        "day": list("abcabc"),
        "open": [True, False] * 3,
        "embedding": [np.ones(3, dtype=np.float32)] * 6,
        "scan": [np.ones((2, 2), dtype=np.uint8)] * 6,
        "label": ["UP", "DOWN"] * 3,
    }
)


def test_a_schema_is_inferred_from_a_table():
    got = Schema.infer(FRAME, id="row", timestamp="at", label="label")
    assert got.features == {
        "price": Kind.NUMERIC,
        "day": Kind.CATEGORICAL,
        "open": Kind.BOOLEAN,
        "embedding": Kind.VECTOR,
        "scan": Kind.IMAGE,
    }
    assert got.label is not None
    assert got.label.kind is LabelKind.BINARY
    flat = FRAME.drop(columns="scan")
    arrow = pa.Table.from_pandas(flat, preserve_index=False)
    assert Schema.infer(arrow, label="label") == Schema.infer(pl.from_arrow(arrow), label="label")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1], LabelKind.BINARY),
        (["a", "b", "c"], LabelKind.MULTICLASS),
        ([1, 2, 3], LabelKind.MULTICLASS),
        (list(range(30)), LabelKind.REGRESSION),
        ([0.5, 1.0, 2.0], LabelKind.REGRESSION),
    ],
)
def test_the_kind_of_a_label_is_inferred(values, kind):
    table = {"x": np.zeros(len(values)), "y": np.array(values)}
    label = Schema.infer(table, label="y").label
    assert label is not None
    assert label.kind is kind

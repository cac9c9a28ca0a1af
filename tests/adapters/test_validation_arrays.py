"""Images and vectors."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.validation.arrays import arrays
from monitor.adapters.validation.typed import Typed
from monitor.errors import DataError

INF = float("inf")


def read(values: object, *, image: bool = True, length: int | None = None, dtype: object = None) -> Typed:
    return arrays(pl.Series("a", values, dtype=dtype), "t.parquet", image=image, length=length)


def found(typed: Typed) -> list[tuple[str, list[int]]]:
    return [(f.reason.value, f.bad.nonzero()[0].tolist()) for f in typed.findings]


@given(st.integers(1, 20).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), min_size=1, max_size=8)))
def test_bytes_and_lists_of_bytes_are_the_same_image_scaled_to_one(cells):
    expected = np.array([list(c) for c in cells], dtype=np.float32) / np.float32(255)
    forms = [
        read(cells),
        read([list(c) for c in cells], dtype=pl.List(pl.UInt8)),
        read([list(c) for c in cells], dtype=pl.List(pl.Int64)),
        read([list(c) for c in cells], dtype=pl.Array(pl.UInt8, len(cells[0]))),
        read([str(list(c)) for c in cells]),
    ]
    for typed in forms:
        assert typed.findings == ()
        assert typed.values.type == pa.list_(pa.float32(), len(cells[0]))
        np.testing.assert_allclose(np.array(typed.values.to_pylist()), expected, rtol=1e-6)


def test_fractions_stay_as_they_are():
    assert read([[0.0, 0.5], [1.0, 0.25]]).values.to_pylist() == [[0.0, 0.5], [1.0, 0.25]]
    assert read([[-3.0, 500.0]], image=False).values.to_pylist() == [[-3.0, 500.0]]
    assert read([[7, 300]], image=False).values.to_pylist() == [[7.0, 300.0]]


def test_the_length_of_most_cells_is_the_standard_and_of_equals_the_first():
    assert found(read([b"ab", b"abc", b"xyz"])) == [("wrong_length", [0])]
    assert found(read([b"ab", b"abc"])) == [("wrong_length", [1])]
    assert found(read([b"ab", b"abc", b"xyz"], length=2)) == [("wrong_length", [1, 2])]
    typed = read([b"ab", b"abc", b"xyz"])
    assert typed.findings[0].detail(0) == "2 elements, expected 3"
    assert len(typed.values) == 3


def test_missing_cells_empty_cells_and_missing_elements():
    assert found(read([b"ab", None, b""])) == [("missing_array", [1]), ("wrong_length", [2])]
    assert found(read([[1.0, 0.5], None, [], [None, 1.0]])) == [
        ("missing_array", [1]),
        ("wrong_length", [2]),
        ("missing_array", [3]),
        ("not_finite", [3]),
    ]


def test_infinities_nan_and_values_out_of_range():
    assert found(read([[0.5, INF], [float("nan"), 0.5], [0.5, 2.0], [0.5, 1.0]])) == [
        ("not_finite", [0, 1]),
        ("out_of_range", [0, 2]),
    ]
    assert found(read([[0, 256], [255, -1], [0, 255]])) == [("out_of_range", [0, 1])]
    assert found(read([[INF, 1.0], [2.0, 1.0]], image=False)) == [("not_finite", [0])]


def test_text_that_is_no_list_is_found():
    typed = read(["[1, 2]", "abc", '["a", 1]', None, "[3, true]"])
    assert found(typed) == [("wrong_type", [1, 2, 4]), ("missing_array", [1, 2, 3, 4])]
    assert typed.findings[0].detail(1) == "'abc' is not a list of numbers"


@pytest.mark.parametrize("values", [[], [None, None]])
def test_a_column_without_any_cell(values):
    typed = read(values, dtype=pl.Binary)
    assert len(typed.values) == len(values)
    assert found(typed) == ([("missing_array", [0, 1])] if values else [])
    assert len(read(values, dtype=pl.Binary, length=4).values) == len(values)


@pytest.mark.parametrize(("values", "image"), [([1.0], True), ([["a"]], True), ([b"ab"], False), ([[[1.0]]], False)])
def test_other_columns_refuse_the_file(values, image):
    with pytest.raises(DataError, match="column 'a': wrong type"):
        read(values, image=image)

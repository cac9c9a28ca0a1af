"""Rows against the schema: types, rejections, notes."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.validation.rows import validate_rows
from monitor.app.ports import Validated
from monitor.domain.batch import Window
from monitor.domain.schema import Label, LabelKind, Schema
from monitor.errors import DataError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SCHEMA = Schema(
    id="id",
    timestamp="at",
    features={"x": "numeric", "c": "categorical", "b": "boolean"},
    label=Label("y", LabelKind.BINARY),
)


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(columns).write_parquet(file)
    return file.getvalue()


def three(**changed: object) -> dict[str, object]:
    """Three good rows; `changed` replaces columns."""
    good = {"id": [1, 2, 3], "at": [NOON] * 3, "x": [0.5, 1.5, 2.5], "c": ["u", "v", "u"], "b": [True, False, None]}
    return {**good, **changed}


def rejected(found: Validated) -> list[tuple[int, str, str]]:
    return [(r["row"], r["column"], r["reason"]) for r in found.rejected.to_pylist()]


def one_numeric(values: object, name: str = "t.parquet") -> Validated:
    return validate_rows(parquet(x=values), name, Schema(features={"x": "numeric"}))


def test_the_types_and_the_order_are_the_promised_ones():
    found = validate_rows(parquet(**three()), "t.parquet", SCHEMA)
    assert found.rows.schema == pa.schema(
        [
            ("id", pa.string()),
            ("at", pa.timestamp("us", "UTC")),
            ("x", pa.float64()),
            ("c", pa.dictionary(pa.int32(), pa.string())),
            ("b", pa.bool_()),
        ]
    )
    assert found.rows.to_pylist()[0] == {"id": "1", "at": NOON, "x": 0.5, "c": "u", "b": True}
    assert found.rejected.num_rows == 0
    assert found.notes == ()


def test_the_same_rows_are_the_same_whatever_the_format():
    records = [
        {"id": 1, "at": "2024-05-01T12:00:00Z", "x": 0.5, "c": "u", "b": True},
        {"id": 2, "at": "2024-05-01T14:00:00+02:00", "x": None, "c": None, "b": False},
    ]
    as_csv = b"id,at,x,c,b\n1,2024-05-01T12:00:00Z,0.5,u,true\n2,2024-05-01T14:00:00+02:00,,,False\n"
    as_lines = "\n".join(json.dumps(r) for r in records).encode()
    as_parquet = parquet(id=[1, 2], at=[NOON, NOON], x=[0.5, None], c=["u", None], b=[True, False])
    tables = [
        validate_rows(content, name, SCHEMA).rows
        for content, name in ((as_csv, "t.csv"), (as_lines, "t.jsonl"), (as_parquet, "t.parquet"))
    ]
    assert tables[0].equals(tables[1])
    assert tables[1].equals(tables[2])


def test_missing_columns_are_all_named_with_the_nearest():
    with pytest.raises(DataError, match=r"t\.parquet, column 'x': missing column 'x', 'b'; did you mean 'X'\? \(the f"):
        validate_rows(parquet(id=[1], at=[NOON], X=[1.0], c=["u"]), "t.parquet", SCHEMA)


def test_a_semicolon_separated_file_is_recognised():
    with pytest.raises(DataError, match="the separator must be a comma"):
        validate_rows(b"id;at;x;c;b\n1;2;3;4;5\n", "t.csv", SCHEMA)


def test_extra_columns_are_ignored_with_one_note_and_the_label_without():
    found = validate_rows(parquet(**three(y=[0, 1, 1], more=[1, 1, 1], other=["a", "b", "c"])), "t.parquet", SCHEMA)
    assert found.rows.column_names == ["id", "at", "x", "c", "b"]
    assert found.notes == ("columns that are not in the schema were ignored: more, other",)


@pytest.mark.parametrize("content", [b"id,at,x,c,b\n", b"id,at,x,c,b"])
def test_a_header_only_gives_no_rows_and_a_note(content):
    found = validate_rows(content, "t.csv", SCHEMA)
    assert found.rows.num_rows == found.rejected.num_rows == 0
    assert found.notes == ("the file has no rows",)


def test_zero_rows_of_parquet_and_json_lines_give_no_rows_and_a_note():
    empty = pl.DataFrame(three()).clear()
    file = io.BytesIO()
    empty.write_parquet(file)
    for content, name in ((file.getvalue(), "t.parquet"), (b"\n\n", "t.jsonl")):
        found = validate_rows(content, name, SCHEMA)
        assert found.rows.num_rows == 0
        assert found.rows.column_names == ["id", "at", "x", "c", "b"]
        assert found.notes == ("the file has no rows",)


def test_one_bad_cell_costs_one_row_and_names_row_column_and_text():
    content = (
        b"id,at,x,c,b\n1,2024-05-01T12:00Z,1.5,u,true\n2,2024-05-01T12:00Z,abc,v,true\n3,2024-05-01T12:00Z,2,w,maybe\n"
    )
    found = validate_rows(content, "t.csv", SCHEMA)
    assert found.rows["id"].to_pylist() == ["1"]
    first, second = found.rejected.to_pylist()
    assert (first["row"], first["column"], first["reason"], first["detail"]) == (
        2,
        "x",
        "wrong_type",
        "'abc' is not a number",
    )
    assert json.loads(first["content"]) == {"id": "2", "at": "2024-05-01T12:00Z", "x": "abc", "c": "v", "b": "true"}
    assert (second["row"], second["column"], second["detail"]) == (3, "b", "'maybe' is not a boolean")


def test_the_content_of_a_refused_row_has_the_ignored_columns_too():
    found = validate_rows(parquet(**three(x=[1.0, float("inf"), 2.0], more=["p", "q", "r"])), "t.parquet", SCHEMA)
    content = json.loads(found.rejected["content"][0].as_py())
    assert content["more"] == "q"
    assert content["x"] == "inf"


def test_numbers_as_text_in_parquet_are_parsed_with_a_note():
    found = one_numeric(["1", " 2.5 ", "1e3", "", "NaN", None, "x"])
    assert found.rows["x"].to_pylist() == [1.0, 2.5, 1000.0, None, None, None]
    assert rejected(found) == [(7, "x", "wrong_type")]
    assert found.notes == ("values written as text were parsed: x",)


def test_infinities_are_refused_and_nan_is_missing():
    found = one_numeric([1.0, float("inf"), float("nan"), None, float("-inf")])
    assert found.rows["x"].to_pylist() == [1.0, None, None]
    assert rejected(found) == [(2, "x", "not_finite"), (5, "x", "not_finite")]
    assert rejected(validate_rows(b"x\n1\ninf\n1e999\n", "t.csv", Schema(features={"x": "numeric"}))) == [
        (2, "x", "not_finite"),
        (3, "x", "not_finite"),
    ]


@pytest.mark.parametrize(("values", "dtype"), [([NOON], None), ([[1.0]], None), ([b"1"], None), ([{"a": 1}], None)])
def test_a_column_that_cannot_be_numbers_refuses_the_file(values, dtype):
    with pytest.raises(DataError, match=r"t\.parquet, column 'x': wrong type: numbers expected, the file holds"):
        one_numeric(pl.Series(values, dtype=dtype))


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Float32, pl.Decimal(10, 2), pl.Int64])
def test_every_numeric_type_becomes_float64(dtype):
    assert one_numeric(pl.Series([1, None, 3], dtype=dtype)).rows["x"].to_pylist() == [1.0, None, 3.0]


def test_booleans_for_numbers_are_read_with_a_note():
    found = one_numeric([True, False, None])
    assert found.rows["x"].to_pylist() == [1.0, 0.0, None]
    assert found.notes == ("booleans were read as 0 and 1: x",)


def test_a_column_without_any_value_is_a_note_and_no_rejection():
    found = validate_rows(parquet(**three(x=[None] * 3, c=[None] * 3)), "t.parquet", SCHEMA)
    assert found.rows.num_rows == 3
    assert found.notes == ("all values are missing: x, c",)
    assert found.rows.schema.field("x").type == pa.float64()


def test_an_unseen_category_is_kept():
    found = validate_rows(parquet(**three(c=["u", "never seen", "v"])), "t.parquet", SCHEMA)
    assert found.rows["c"].to_pylist() == ["u", "never seen", "v"]


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        [1.0, 2.0],
        ["1", "2"],
        ["1.0", "2.00"],
        pl.Series(["1", "2"], dtype=pl.Categorical),
        pl.Series([1, 2], dtype=pl.UInt8),
    ],
)
def test_one_category_has_one_text(values):
    found = validate_rows(parquet(c=values), "t.parquet", Schema(features={"c": "categorical"}))
    assert found.rows["c"].to_pylist() == ["1", "2"]


@given(st.lists(st.none() | st.integers(-(2**53), 2**53), min_size=1, max_size=30))
def test_whole_numbers_have_the_same_text_as_integers_floats_and_text(values):
    schema = Schema(features={"c": "categorical"})
    forms = [
        pl.Series(values, dtype=pl.Int64),
        pl.Series(values, dtype=pl.Float64),
        pl.Series([None if v is None else f"{v}.0" for v in values], dtype=pl.String),
    ]
    for form in forms:
        found = validate_rows(parquet(c=form), "t.parquet", schema)
        assert found.rows["c"].to_pylist() == [None if v is None else str(v) for v in values]


def test_categories_that_are_not_whole_numbers_keep_their_text():
    texts = ["007", "1.50", "1e3", "-0", "a.0", "v1.0", "True", "N/A"]
    found = validate_rows(parquet(c=texts), "t.parquet", Schema(features={"c": "categorical"}))
    assert found.rows["c"].to_pylist() == ["007", "1.50", "1e3", "0", "a.0", "v1.0", "true", "N/A"]
    floats = validate_rows(
        parquet(c=[0.5, float("inf"), float("nan"), -0.0]), "t.parquet", Schema(features={"c": "categorical"})
    )
    assert floats.rows["c"].to_pylist() == ["0.5", None, "0"]
    assert rejected(floats) == [(2, "c", "not_finite")]


def test_booleans_are_read_from_what_people_write():
    schema = Schema(features={"b": "boolean"})
    text = validate_rows(parquet(b=["TRUE", "f", "Yes", "0", "", None, "2"]), "t.parquet", schema)
    assert text.rows["b"].to_pylist() == [True, False, True, False, None, None]
    assert rejected(text) == [(7, "b", "wrong_type")]
    numbers = validate_rows(parquet(b=[1.0, 0.0, float("nan"), 0.5]), "t.parquet", schema)
    assert numbers.rows["b"].to_pylist() == [True, False, None]
    assert rejected(numbers) == [(4, "b", "wrong_type")]


def test_missing_ids_and_the_later_of_equal_ids_are_refused():
    found = validate_rows(
        parquet(id=["a", None, "b", "a", "", "a"], x=[float("inf"), 1.0, 2.0, 3.0, 4.0, 5.0]),
        "t.parquet",
        Schema(id="id", features={"x": "numeric"}),
    )
    assert found.rows.to_pylist() == [{"id": "b", "x": 2.0}, {"id": "a", "x": 3.0}]  # the first `a` was no good
    assert rejected(found) == [
        (1, "x", "not_finite"),
        (2, "id", "missing_id"),
        (5, "id", "missing_id"),
        (6, "id", "duplicate_id"),
    ]
    assert found.rejected["detail"][3].as_py() == "id 'a' came before, in row 4"


def test_rows_outside_the_promised_window_or_in_the_future_are_refused():
    day = Window(NOON - timedelta(hours=12), NOON + timedelta(hours=12))
    at = [day.start, day.end - timedelta(microseconds=1), day.end, day.start - timedelta(microseconds=1), None]
    content = parquet(id=range(5), at=at, x=[1.0] * 5, c=["u"] * 5, b=[True] * 5)
    found = validate_rows(content, "t.parquet", SCHEMA, window=day, latest=NOON)
    assert rejected(found) == [
        (2, "at", "in_future"),
        (3, "at", "in_future"),
        (4, "at", "outside_window"),
        (5, "at", "missing_timestamp"),
    ]
    assert "is outside 2024-05-01T00:00:00+00:00 to 2024-05-02T00:00:00+00:00" in found.rejected["detail"][2].as_py()


def test_a_moment_that_fits_no_calendar_costs_one_row():
    far = pl.Series([0, 2**63 - 1, 0]).cast(pl.Datetime("us", "UTC"))
    found = validate_rows(parquet(**three(at=far)), "t.parquet", SCHEMA)
    assert rejected(found) == [(2, "at", "bad_timestamp")]
    assert json.loads(found.rejected["content"][0].as_py())["at"] == "9223372036854775807"


def test_a_label_is_kept_for_training_as_canonical_text():
    found = validate_rows(
        parquet(**three(y=[1.0, None, 0.0])), "t.parquet", SCHEMA, label=SCHEMA.label, require_label=True
    )
    assert found.rows.column_names[-1] == "y"
    assert found.rows["y"].to_pylist() == ["1", "0"]
    assert rejected(found) == [(2, "y", "missing_label")]
    with pytest.raises(DataError, match="missing column 'y'"):
        validate_rows(parquet(**three()), "t.parquet", SCHEMA, label=SCHEMA.label, require_label=True)
    without = validate_rows(parquet(**three()), "t.parquet", SCHEMA, label=SCHEMA.label)
    assert without.rows.column_names == ["id", "at", "x", "c", "b"]


cell = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.text(max_size=4) | st.integers() | st.booleans()
row = st.dictionaries(st.sampled_from(["id", "x", "c", "b"]), cell | st.lists(st.integers(), max_size=2))


@given(st.lists(row, max_size=12))
def test_whatever_json_holds_no_row_is_lost(rows):
    lines = [json.dumps({"id": i, "x": 1, "c": "u", "b": True, **r}) for i, r in enumerate(rows)]
    schema = Schema(id="id", features={"x": "numeric", "c": "categorical", "b": "boolean"})
    found = validate_rows("\n".join(lines).encode() + b"\n", "t.jsonl", schema)
    assert found.rows.num_rows + found.rejected.num_rows == len(rows)
    assert all(r["reason"] and r["detail"] and r["content"] for r in found.rejected.to_pylist())
    x = found.rows["x"].to_numpy()
    assert not np.isinf(x).any()
    ids = found.rows["id"].to_pylist()
    assert len(set(ids)) == len(ids)

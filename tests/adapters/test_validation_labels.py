"""Labels: one row per id and correction, or the reason why not."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.validation.labels import LabelColumns, validate_labels
from monitor.app.ports import Validated
from monitor.domain.schema import Label, LabelKind
from monitor.errors import DataError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
CLASSES = LabelColumns(id="id", label=Label("y", LabelKind.MULTICLASS), available_at=None, timezone=None)
VALUES = LabelColumns(id="id", label=Label("y", LabelKind.REGRESSION), available_at=None, timezone=None)
DATED = LabelColumns(id="id", label=Label("y", LabelKind.MULTICLASS), available_at="known", timezone=None)


def read(columns: LabelColumns = CLASSES, **cells: object) -> Validated:
    file = io.BytesIO()
    pl.DataFrame(cells).write_parquet(file)
    return validate_labels(file.getvalue(), "labels.parquet", columns)


def rejected(found: Validated) -> list[tuple[int, str, str]]:
    return [(r["row"], r["column"], r["reason"]) for r in found.rejected.to_pylist()]


def pairs(found: Validated) -> list[tuple[object, object]]:
    return list(zip(found.rows["id"].to_pylist(), found.rows["label"].to_pylist(), strict=True))


def test_the_types_are_the_promised_ones():
    assert read(id=[1], y=["a"]).rows.schema == pa.schema(
        [("id", pa.string()), ("label", pa.string()), ("available_at", pa.timestamp("us", "UTC"))]
    )
    assert read(VALUES, id=[1], y=[1]).rows.schema.field("label").type == pa.float64()


@pytest.mark.parametrize(
    ("kind", "classes", "refused"),
    [
        (LabelKind.BINARY, ("no", "yes"), ["maybe", "Yes"]),
        (LabelKind.BINARY, ("yes",), []),  # the other one is not known yet
        (LabelKind.BINARY, (), []),
        (LabelKind.MULTICLASS, ("no", "yes"), []),  # a new class is an ordinary event
    ],
)
def test_only_a_binary_label_whose_two_classes_are_known_has_an_impossible_value(kind, classes, refused):
    columns = LabelColumns(id="id", label=Label("y", kind), available_at=None, timezone=None)
    found = validate_labels(b"id,y\n1,maybe\n2,yes\n3,\n4,Yes\n5,no\n", "labels.csv", columns, classes)
    assert rejected(found) == sorted(
        [
            (3, "y", "missing_label"),
            *((row, "y", "impossible_label") for row, y in ((1, "maybe"), (4, "Yes")) if y in refused),
        ]
    )
    assert len(pairs(found)) == 4 - len(refused)


def test_an_impossible_label_does_not_contradict_a_possible_one():
    columns = LabelColumns(id="id", label=Label("y", LabelKind.BINARY), available_at=None, timezone=None)
    found = validate_labels(b"id,y\n1,maybe\n1,1.0\n", "labels.csv", columns, ("0", "1"))
    assert pairs(found) == [("1", "1")]
    assert rejected(found) == [(1, "y", "impossible_label")]
    assert found.rejected["detail"].to_pylist() == ["'maybe' is neither '0' nor '1'"]


@pytest.mark.parametrize("values", [[1, 0], [1.0, 0.0], ["1", "0"], ["1.0", "0.0"]])
def test_one_class_has_one_text(values):
    assert pairs(read(id=["a", "b"], y=values)) == [("a", "1"), ("b", "0")]


def test_booleans_are_classes():
    assert pairs(read(id=["a", "b"], y=[True, False])) == [("a", "true"), ("b", "false")]


def test_the_same_label_twice_is_one_row_with_a_note():
    found = read(id=["a", "b", "a"], y=[1, 0, 1])
    assert pairs(found) == [("a", "1"), ("b", "0")]
    assert found.rejected.num_rows == 0
    assert found.notes == ("1 labels came twice with the same value",)


def test_contradictory_labels_refuse_all_rows_of_the_id():
    found = read(id=["a", "b", "a", "a"], y=["1", "0", "2", "1"])
    assert pairs(found) == [("b", "0")]
    assert rejected(found) == [(row, "y", "contradictory_label") for row in (1, 3, 4)]
    assert found.rejected["detail"][0].as_py() == "id 'a' has the labels 1, 2"


def known(*hours: int | None) -> list[datetime | None]:
    return [None if hour is None else NOON + timedelta(hours=hour) for hour in hours]


def test_labels_of_other_moments_are_corrections_by_moment():
    found = read(DATED, id=["a", "b", "a", "a", "a"], y=["1", "0", "2", "1", "1"], known=known(3, 0, 2, 0, 1))
    assert (pairs(found), found.rejected.num_rows) == ([("a", "1"), ("a", "2"), ("a", "1"), ("b", "0")], 0)
    assert found.rows["available_at"].to_pylist() == known(0, 2, 3, 0)
    assert found.notes == ("1 labels came twice with the same value",)


def test_labels_of_one_moment_contradict_each_other_and_leave_those_of_others():
    found = read(DATED, id=["a", "a", "a", "b"], y=["1", "2", "3", "1"], known=known(1, 1, 2, 1))
    assert pairs(found) == [("a", "3"), ("b", "1")]
    assert rejected(found) == [(row, "y", "contradictory_label") for row in (1, 2)]
    assert found.rejected["detail"][0].as_py() == "id 'a' has the labels 1, 2"


def test_a_label_of_unknown_moment_contradicts_every_other_one_of_its_id():
    found = read(DATED, id=["a", "a", "b", "b"], y=["1", "2", "1", "1"], known=known(1, None, None, 2))
    assert rejected(found) == [(row, "y", "contradictory_label") for row in (1, 2)]
    assert (pairs(found), found.rows["available_at"].to_pylist()) == ([("b", "1")], known(2))


def test_missing_ids_and_labels_are_refused():
    found = read(id=["a", None, "c", "d"], y=["1", "1", None, ""])
    assert pairs(found) == [("a", "1")]
    assert rejected(found) == [(2, "id", "missing_id"), (3, "y", "missing_label"), (4, "y", "missing_label")]


def test_a_label_that_is_no_number_is_refused_in_a_regression():
    found = read(VALUES, id=["a", "b", "c", "d"], y=["1.5", "x", "inf", "NaN"])
    assert pairs(found) == [("a", 1.5)]
    assert rejected(found) == [(2, "y", "wrong_type"), (3, "y", "not_finite"), (4, "y", "missing_label")]
    assert rejected(read(VALUES, id=["a", "b"], y=[1.0, float("nan")])) == [(2, "y", "missing_label")]


def test_a_label_column_of_the_wrong_type_refuses_the_file():
    with pytest.raises(DataError, match=r"labels\.parquet, column 'y': wrong type: numbers expected"):
        read(VALUES, id=["a"], y=[NOON])
    with pytest.raises(DataError, match="missing column 'y'"):
        read(id=["a"], z=[1])


def test_the_moment_a_label_was_known_is_kept_and_the_earliest_counts():
    later = NOON + timedelta(hours=1)
    found = read(DATED, id=["a", "b", "a"], y=[1, 0, 1], known=[later, None, NOON])
    assert found.rows["available_at"].to_pylist() == [NOON, None]
    bad = read(DATED, id=["a", "b"], y=[1, 0], known=["2024-05-01T12:00Z", "soon"])
    assert rejected(bad) == [(2, "known", "bad_timestamp")]
    with pytest.raises(DataError, match="missing column 'known'"):
        read(DATED, id=["a"], y=[1])


def test_no_rows_give_a_note():
    found = validate_labels(b"id,y\n", "labels.csv", CLASSES)
    assert found.rows.num_rows == 0
    assert found.notes == ("the file has no rows",)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("01"), st.integers(0, 4)), max_size=12))
def test_at_each_moment_an_id_has_the_label_that_was_known_last(rows):
    """Against the plain words: moments with two labels are dropped, then the last label up to each moment counts."""
    content = "id,y,known\n" + "".join(f"{i},{y},{NOON + timedelta(hours=h):%Y-%m-%dT%H:%MZ}\n" for i, y, h in rows)
    found = validate_labels(content.encode(), "labels.csv", DATED)
    said: dict[tuple[str, int], set[str]] = {}
    for i, y, h in rows:
        said.setdefault((i, h), set()).add(y)
    assert found.rejected.num_rows == sum(len(said[i, h]) > 1 for i, _, h in rows)
    for hour in range(5):
        expected = {i: y for (i, h), (y, *more) in sorted(said.items()) if h <= hour and not more}
        now = [row for row in found.rows.to_pylist() if row["available_at"] <= NOON + timedelta(hours=hour)]
        assert {row["id"]: row["label"] for row in now} == expected


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["0", "1", "1.0"])), max_size=15))
def test_an_id_keeps_its_label_exactly_when_all_its_rows_agree(rows):
    content = "id,y\n" + "".join(f"{i},{y}\n" for i, y in rows)
    found = validate_labels(content.encode(), "labels.csv", CLASSES)
    seen: dict[str, set[float]] = {}
    for i, y in rows:
        seen.setdefault(i, set()).add(float(y))
    assert pairs(found) == [(i, str(int(*ys))) for i, ys in seen.items() if len(ys) == 1]
    assert found.rejected.num_rows == sum(1 for i, _ in rows if len(seen[i]) > 1)

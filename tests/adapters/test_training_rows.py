"""Selections and labels of a training snapshot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.training_rows import TrainingRows, read_snapshot, split
from monitor.domain.schema import Label, Schema
from monitor.domain.selection.selection import Selection, newest
from monitor.errors import DataError, TooFewRows

FEATURES = {"price": "numeric"}


def schema(kind: str, positive: str | None = None) -> Schema:
    return Schema(features=FEATURES, id="id", label=Label("y", kind, positive))


def table(labels: list) -> pa.Table:
    n = len(labels)
    return pa.table(
        {"id": [f"r{i}" for i in range(n)], "price": np.arange(float(n)), "y": labels, "_origin": ["training"] * n}
    )


def rows(labels: list, kind: str = "multiclass", positive: str | None = None) -> TrainingRows:
    return TrainingRows(table(labels), schema(kind, positive), np.array(labels))


def read(tmp_path, labels, kind: str) -> TrainingRows:
    file = tmp_path / "rows.parquet"
    pq.write_table(table(labels), file)
    return read_snapshot(file, schema(kind))


@pytest.mark.parametrize(
    ("labels", "kind", "positive", "classes"),
    [
        (["10", "9", "-1", "x", "2.5"], "multiclass", None, ("-1", "2.5", "9", "10", "x")),
        (["a", "b"], "binary", "a", ("b", "a")),
        (["a", "b"], "binary", None, ("a", "b")),
        (["b", "b"], "binary", "a", ("b", "a")),
        (["1", "0"], "binary", None, ("0", "1")),
    ],
)
def test_classes_are_sorted_and_the_positive_one_is_last(labels, kind, positive, classes):
    assert rows(labels, kind, positive).classes() == classes


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=20), st.lists(st.sampled_from("abc"), unique=True))
def test_codes_name_the_label_or_are_minus_one(labels, classes):
    if not classes:
        return
    codes = rows(labels).target(classes)
    assert [classes[code] if code >= 0 else None for code in codes] == [x if x in classes else None for x in labels]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 40))
def test_the_held_out_rows_are_the_newest_and_no_row_is_lost(n, held_out, window):
    whole = rows(["a"] * n)
    if n < held_out + 2:
        with pytest.raises(TooFewRows, match=f"have {n}"):
            split(whole, held_out)
        return
    older, held = split(whole, held_out)
    ids = older.table.column("id").to_pylist() + held.table.column("id").to_pylist()
    assert ids == [f"r{i}" for i in range(n)]
    recent = older.of(newest(len(older), window))
    assert recent.table.column("id").to_pylist() == ids[max(0, n - held_out - window) : n - held_out]


def test_a_selection_with_gaps_takes_its_rows_with_their_labels_and_weights():
    some = rows(["a", "b", "c", "d"]).of(Selection(np.array([0, 2, 3]), np.array([1.0, 0.5, 2.0])))
    assert some.table.column("id").to_pylist() == ["r0", "r2", "r3"]
    data = some.data()
    assert [data.classes[code] for code in data.target] == ["a", "c", "d"]
    assert data.features["price"].tolist() == [0.0, 2.0, 3.0]
    assert data.weights.tolist() == [1.0, 0.5, 2.0]


def test_the_digest_depends_on_the_ids_and_their_order():
    whole = rows(["a"] * 5)
    digests = {each.lineage()["rows_digest"] for each in (whole, whole.part(1, 5), whole.part(0, 4))}
    assert len(digests) == 3
    assert rows(["b"] * 5).lineage()["rows_digest"] == whole.lineage()["rows_digest"]
    assert whole.lineage()["first"] is None  # no timestamp in the schema


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([None, "b", None], "multiclass", r"rows\.parquet, column 'y': 2 labels are missing"),
        (["high"], "regression", r"rows\.parquet, column 'y': is not a number"),
    ],
)
def test_labels_that_cannot_be_trained_on(tmp_path, labels, kind, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, labels, kind)


def test_a_binary_label_with_more_values_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a, b, c; rarest is 'c', first at id 'r2' of training\.path$"):
        read(tmp_path, ["a", "b", "c", "a", "b"], "binary").classes()
    with pytest.raises(DataError, match=r"a, b, c; rarest is 'c', first in training\.path$"):
        replace(read(tmp_path, list("abcab"), "binary"), schema=replace(schema("binary"), private=("id",))).classes()


def test_a_file_that_is_no_snapshot_is_named(tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"rows\.parquet: cannot be read"):
        read_snapshot(tmp_path / "rows.parquet", schema("binary"))
    pq.write_table(pa.table({"price": [1.0]}), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"rows\.parquet, column 'y': the label is missing"):
        read_snapshot(tmp_path / "rows.parquet", schema("binary"))

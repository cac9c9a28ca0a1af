"""Labels that are wrong, late, early, double or for nobody: each counts as it should, and none is lost."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from monitor.domain.batch import DeliveryKind, DeliveryState
from tests.app.conftest import Bench
from tests.app.test_bad_batches import csv, parquet

ROWS = 120


def batch(bench: Bench) -> tuple[str, list[str], list[str]]:
    """A judged batch without labels: its name, its ids and the labels to come."""
    rows = bench.project.next_rows()
    name = f"batch_{bench.project.batches - 1:03d}.parquet"
    bench.project.write(bench.project.incoming / name, rows.drop_columns(["y"]))
    record = bench.once()[name]
    assert record["performance"]["labels_coverage"] == 0.0
    return name, rows.column("row_id").to_pylist(), rows.column("y").to_pylist()


def labels_of(bench: Bench, name: str) -> dict[str, str]:
    found = bench.app.runtime("tiny").book.labels(name)
    return dict(zip(found["id"].to_pylist(), found["label"].to_pylist(), strict=True))


def opposite(label: str) -> str:
    return "DOWN" if label == "UP" else "UP"


def entry_of(bench: Bench, name: str):
    return bench.entry(name, DeliveryKind.LABELS)


def test_labels_for_unknown_ids_wait_for_their_rows(bench):
    rows = bench.project.next_rows()
    ids, labels = rows.column("row_id").to_pylist(), rows.column("y").to_pylist()
    name, known, known_labels = batch(bench)
    waiting = bench.app.runtime("tiny").book.pending
    bench.put_labels("early", known + ids, known_labels + labels)
    assert bench.once() == {}
    assert bench.record(name)["performance"]["labels_coverage"] == 1.0, "the known ones of the file count"
    assert bench.app.runtime("tiny").book.pending == waiting + ROWS
    bench.project.write(bench.project.incoming / "awaited.parquet", rows.drop_columns(["y"]))
    assert bench.once()["awaited.parquet"]["performance"]["labels_coverage"] == 1.0
    assert labels_of(bench, "awaited.parquet") == dict(zip(ids, labels, strict=True))
    assert bench.app.runtime("tiny").book.pending == waiting


def test_labels_twice_with_the_same_value_count_once(bench):
    name, ids, labels = batch(bench)
    bench.put_labels("twice", ids + ids[:5], labels + labels[:5])
    bench.once()
    first = bench.record(name)
    bench.put_labels("again", ids, labels)
    bench.put("again_same_bytes.parquet", (bench.project.labels / "twice.parquet").read_bytes(), "labels")
    bench.once()
    assert labels_of(bench, name) == dict(zip(ids, labels, strict=True))
    known, now = first["performance"], bench.record(name)["performance"]
    assert now == known
    staged = next(e for e in bench.events("labels") if e["delivery"] == "twice.parquet")
    assert staged["notes"] == ["5 labels came twice with the same value"]
    same = entry_of(bench, "again_same_bytes.parquet")
    assert (same.state, same.reason) == (DeliveryState.DUPLICATE, "same content as labels/twice.parquet")


def test_contradictory_labels_in_one_file_count_for_nothing(bench):
    name, ids, labels = batch(bench)
    bench.put_labels("torn", [*ids, ids[4]], [*labels, opposite(labels[4])])
    bench.once()
    assert labels_of(bench, name) == {i: y for i, y in zip(ids, labels, strict=True) if i != ids[4]}
    rejected = bench.quarantined("labels/torn.parquet")
    assert [(r["row"], r["column"], r["reason"]) for r in rejected] == [
        (5, "y", "contradictory_label"),
        (121, "y", "contradictory_label"),
    ]
    assert rejected[0]["detail"] == f"id {ids[4]!r} has the labels {labels[4]}, {opposite(labels[4])}"
    bench.put_labels("settled", [ids[4]], [labels[4]])
    bench.once()
    assert bench.record(name)["performance"]["labels_coverage"] == 1.0


def test_a_later_file_corrects_an_earlier_one_and_raises_no_second_alarm(bench):
    name, ids, labels = batch(bench)
    bench.put_labels("first_word", ids, labels)
    bench.once()
    before = bench.record(name)
    bench.put_labels("last_word", ids, [opposite(y) for y in labels])
    bench.once()
    after = bench.record(name)
    assert labels_of(bench, name) == {i: opposite(y) for i, y in zip(ids, labels, strict=True)}
    realised = [record["performance"]["realised"] for record in (before, after)]
    assert realised[1] == pytest.approx(1 - realised[0])
    assert after["verdicts"] == before["verdicts"], "restated, not judged again"
    assert after["labels_revision"] > before["labels_revision"]


REFUSED = {
    "truncated": ("parquet", lambda rows: parquet(rows)[:-30], r"labels/{name}: truncated"),
    "empty": ("parquet", lambda rows: b"", r"labels/{name}: the file is empty"),
    "no label column": (
        "csv",
        lambda rows: csv(rows.rename_columns(["row_id", "why"])),
        r"labels/{name}, column 'y': missing column 'y'",
    ),
    "no ids": ("csv", lambda rows: csv(rows.rename_columns(["id", "y"])), r"column 'row_id': missing column 'row_id'"),
    "not UTF-8": ("csv", lambda rows: csv(rows) + b"r\xff,UP\n", r"labels/{name}, row 121: not UTF-8"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_of_labels_is_refused(bench, what):
    suffix, spoil, message = REFUSED[what]
    name, ids, labels = batch(bench)
    rows = pa.table({"row_id": ids, "y": labels})
    file = f"bad_{name}.{suffix}"
    bench.put(file, spoil(rows), "labels")
    assert bench.once() == {}
    entry = entry_of(bench, file)
    assert entry.state is DeliveryState.BAD
    assert re.search(message.format(name=re.escape(file)), entry.reason), entry.reason
    assert bench.events("delivery_bad")[-1]["delivery"] == file
    assert bench.record(name)["performance"]["labels_coverage"] == 0.0
    bench.put_labels(f"mended_{name}", ids, labels)
    bench.once()
    assert bench.record(name)["performance"]["labels_coverage"] == 1.0


def test_rows_without_label_or_id_are_refused_and_the_others_count(bench):
    name, ids, labels = batch(bench)
    bench.put("gaps.parquet", parquet(pa.table({"row_id": [*ids, None], "y": [None, *labels[1:], "UP"]})), "labels")
    bench.once()
    assert labels_of(bench, name) == dict(zip(ids[1:], labels[1:], strict=True))
    rejected = bench.quarantined("labels/gaps.parquet")
    assert [(r["row"], r["column"], r["reason"]) for r in rejected] == [
        (1, "y", "missing_label"),
        (121, "row_id", "missing_id"),
    ]


def test_a_third_class_of_a_binary_label_is_refused_and_the_others_count(bench):
    name, ids, labels = batch(bench)
    bench.put_labels("sideways", ids, ["SIDEWAYS", *labels[1:]])
    bench.once()
    assert labels_of(bench, name) == dict(zip(ids[1:], labels[1:], strict=True))
    (rejected,) = bench.quarantined("labels/sideways.parquet")
    assert (rejected["row"], rejected["column"], rejected["reason"]) == (1, "y", "impossible_label")
    assert rejected["detail"] == "'SIDEWAYS' is neither 'DOWN' nor 'UP'"
    assert bench.events("labels")[-1]["reasons"] == {"impossible_label": 1}
    bench.put_labels("right", ids[:1], labels[:1])
    bench.once()
    assert bench.record(name)["performance"]["labels_coverage"] == 1.0


def test_a_label_file_that_is_imported_is_held_to_the_same_classes(bench):
    name, ids, labels = batch(bench)
    file = bench.project.folder / f"by_hand_{name}"
    bench.project.write(file, pa.table({"row_id": ids, "y": ["up", *labels[1:]]}))
    told = bench.app.import_labels("tiny", file, lambda share, what: None)
    assert (told["rows"], told["rejected"]) == (ROWS - 1, 1)

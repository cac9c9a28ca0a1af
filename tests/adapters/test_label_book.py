"""The label book's files: any order, any crash, the same labels in the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.adapters.collected_data import ParquetCollectedData
from monitor.adapters.label_book import ParquetLabelBook
from monitor.adapters.label_merge import LABEL, is_settled, merge_labels
from monitor.app.ports import LabelCounts
from monitor.domain.batch import Window
from monitor.errors import StoreError
from tests.adapters.small_disk import fill, small_disk
from tests.contracts.fakes import FakeCollectedData, FakeLabelBook, labels_of, rows_of

T0 = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DELAY = 2 * HOUR
END = T0 + 100 * HOUR
BATCHES = ("abc", "de", "f")  # the n-th ends n hours after T0; one letter per row
IDS = "abcdefz"  # no batch holds z


def opened(folder: Path) -> tuple[ParquetCollectedData, ParquetLabelBook]:
    collected = ParquetCollectedData(folder)
    return collected, ParquetLabelBook(folder, collected, delay=DELAY)


def collect(collected: ParquetCollectedData | FakeCollectedData, number: int) -> None:
    window = Window(T0 + (number - 1) * HOUR, T0 + number * HOUR)
    ids = list(BATCHES[number])
    collected.write(BATCHES[number], window, rows_of(ids), np.zeros(len(ids)), ())


def final(book: ParquetLabelBook | FakeLabelBook) -> dict[str, list[dict[str, object]]]:
    return {batch: book.labels(batch).to_pylist() for batch in BATCHES}


moments = st.integers(-2, 6).map(lambda hours: T0 + hours * HOUR)
deliveries = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from("01"), st.none() | moments), max_size=6),
        moments,  # arrival
    ),
    max_size=5,
)
Delivery = tuple[Sequence[tuple[str, str, datetime | None]], datetime]  # id, label, available_at; arrival


def stage(book: ParquetLabelBook | FakeLabelBook, name: int, delivery: Delivery) -> None:
    rows, arrival = delivery
    labels = labels_of([(row, label) for row, label, _ in rows], available=[known for *_, known in rows])
    book.stage(f"labels/{name}", labels, arrival=arrival)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(deliveries, st.data())
def test_the_end_does_not_depend_on_the_order_nor_on_restarts(given_deliveries, data):
    """Stage, collect and join in any order, opening the files anew at any time, against the fake in plain order."""
    expected_rows = FakeCollectedData()
    expected = FakeLabelBook(expected_rows, delay=DELAY)
    for number in range(len(BATCHES)):
        collect(expected_rows, number)
    for name, delivery in enumerate(given_deliveries):
        stage(expected, name, delivery)
    expected.join(END)

    steps: list[tuple[str, int]] = [("stage", name) for name in range(len(given_deliveries))]
    steps += [("collect", number) for number in range(len(BATCHES))]
    steps += [(what, n) for what in ("join", "restart") for n in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        collected, book = opened(Path(folder))
        for what, number in data.draw(st.permutations(steps)):
            if what == "stage":
                stage(book, number, given_deliveries[number])
            elif what == "collect":
                collect(collected, number)
            elif what == "join":
                book.join(T0 + 2 * number * HOUR)
            else:
                pending = book.pending
                collected, book = opened(Path(folder))
                assert book.pending <= pending  # what ranks below a joined label is settled at once
        book.join(END)
        assert final(book) == final(expected)
        nobodys = sum(row == "z" for rows, _ in given_deliveries for row, *_ in rows)
        assert book.pending == expected.pending == nobodys
        assert book.unmatched == expected.unmatched
        assert book.unmatched.rows == nobodys


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(deliveries)
def test_the_revision_changes_with_the_labels(given_deliveries):
    with tempfile.TemporaryDirectory() as folder:
        collected, book = opened(Path(folder))
        for number in range(len(BATCHES)):
            collect(collected, number)
        seen: dict[tuple[str, int], object] = {}
        for name, delivery in enumerate(given_deliveries):
            stage(book, name, delivery)
            counts = book.join(END)
            assert counts.joined + counts.duplicate + counts.corrected + book.pending >= len(delivery[0])
            for batch, labels in final(book).items():
                assert seen.setdefault((batch, book.revision(batch)), labels) == labels
        _, again = opened(Path(folder))
        assert {batch: again.revision(batch) for batch in BATCHES} == {batch: book.revision(batch) for batch in BATCHES}


def test_a_crash_after_any_file_was_written_loses_no_label(tmp_path):
    """Every state of the folder between two writes, taken as the state after a crash, leads to the same end."""
    collected, book = opened(tmp_path / "life")
    folders: list[Path] = []

    def crash() -> None:
        folders.append(tmp_path / f"crash{len(folders)}")
        shutil.copytree(tmp_path / "life", folders[-1])

    for number in range(len(BATCHES)):
        collect(collected, number)
    stage(book, 0, ([(row, "0", None) for row in IDS], END))
    crash()
    joined = tmp_path / "life" / "labels" / "joined"
    book.join(END)
    crash()
    for written in (["abc"], ["abc", "de"]):  # a join writes one file per batch
        crash()
        for path in (folders[-1] / "labels" / "joined").iterdir():
            if path.stem not in written:
                path.unlink()
    assert sorted(path.stem for path in joined.iterdir()) == sorted(BATCHES)
    for folder in folders:
        _, again = opened(folder)
        pending = again.pending
        counts = again.join(END)
        assert counts == LabelCounts(joined=pending - 1, pending=1)
        assert final(again) == final(book)


def test_deliveries_with_long_and_strange_names_are_kept_apart(tmp_path):
    collected, book = opened(tmp_path)
    collect(collected, 0)
    for name in ("2024/a", "2024%2Fa", ".a", "ä" * 300, "ä" * 301):
        book.stage(name, labels_of({"a": "1"}), arrival=T0)
    assert opened(tmp_path)[1].join(END) == LabelCounts(joined=1, duplicate=4)


def test_what_is_staged_keeps_the_words_of_the_delivery(tmp_path):
    _, book = opened(tmp_path)
    book.stage("labels/1", labels_of({"a": "1"}, available=T0), arrival=END)
    (path,) = (tmp_path / "labels" / "staged").iterdir()
    assert path.name == "labels%2F1.parquet"
    assert pa.parquet.read_table(path).to_pylist() == [{"id": "a", "label": "1", "available_at": T0}]


def test_on_a_full_disk_no_label_is_lost_and_it_goes_on_when_there_is_space(tmp_path):
    with small_disk(tmp_path / "disk", 1024) as disk:
        collected, book = opened(disk)
        collect(collected, 0)
        collect(collected, 1)
        book.stage("first", labels_of({"a": "1", "d": "1"}), arrival=T0)
        ballast = fill(disk)
        with pytest.raises(StoreError, match=rf"{disk}/labels/staged/second\.parquet"):
            book.stage("second", labels_of({"b": "1"}), arrival=T0)
        with pytest.raises(StoreError, match=rf"{disk}/labels/joined/abc\.parquet"):
            book.join(END)
        assert book.pending == 2
        ballast.unlink()
        assert sorted(path.name for path in (disk / "labels").rglob("*") if path.is_file()) == ["first.parquet"]
        book.stage("second", labels_of({"b": "1"}), arrival=T0)
        assert book.join(END) == LabelCounts(joined=3)
        assert opened(disk)[1].labelled_rows() == {"abc": 2, "de": 1}


ranked = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2), st.integers(0, 1), st.integers(0, 2)),
    max_size=14,
    unique_by=lambda label: (label[0], label[2], label[3], label[4]),  # a place in a delivery holds one label
)
NAMES = ["b", "a", "c"]


def as_labels(tuples: Sequence[tuple[int, ...]]) -> np.ndarray:
    labels = np.zeros(len(tuples), LABEL)
    for name, column in zip(("row", "value", "due", "arrival", "delivery"), zip(*tuples, strict=True), strict=False):
        labels[name] = column
    return labels


@given(ranked, st.data())
def test_merging_in_parts_ends_as_merging_at_once(labels, data):
    order = data.draw(st.permutations(labels))
    cut = data.draw(st.integers(0, len(order)))
    part = merge_labels(as_labels([]), as_labels(order[:cut]), NAMES.__getitem__)
    in_parts = merge_labels(part.labels, as_labels(order[cut:]), NAMES.__getitem__)
    at_once = merge_labels(as_labels([]), as_labels(labels), NAMES.__getitem__)
    assert np.array_equal(in_parts.labels, at_once.labels)
    best = {}
    for label in sorted(labels, key=lambda x: (x[2], x[3], NAMES[x[4]])):
        best[label[0]] = label
    assert [tuple(x)[:5] for x in at_once.labels.tolist()] == [best[row] for row in sorted(best)]
    for merged, new in ((part, cut), (in_parts, len(order) - cut), (at_once, len(labels))):
        assert merged.joined + merged.duplicate + merged.corrected == new
    assert part.joined + in_parts.joined == at_once.joined == len(best)
    assert is_settled(as_labels(labels), at_once.labels, NAMES.__getitem__).all()
    assert not is_settled(as_labels(labels), as_labels([]), NAMES.__getitem__).any()

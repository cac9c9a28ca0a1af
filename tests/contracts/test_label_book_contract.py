"""What every `LabelBook` promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.adapters.label_book import ParquetLabelBook
from monitor.app.ports import CollectedData, LabelBook, LabelCounts
from monitor.domain.batch import Window
from monitor.domain.label_arrival import Unmatched
from monitor.errors import DataError
from tests.contracts.fakes import FakeCollectedData, FakeLabelBook, labels_of, rows_of

T0 = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_AFTER = T0 + 1000 * DAY


@pytest.fixture
def book(collected: CollectedData, tmp_path: Path) -> LabelBook:
    if isinstance(collected, FakeCollectedData):
        return FakeLabelBook(collected, delay=DAY)
    return ParquetLabelBook(tmp_path, collected, delay=DAY)


@pytest.fixture
def collect(collected: CollectedData) -> Callable[[str, str, int], None]:
    def write(batch: str, ids: str, day: int = 0) -> None:
        window = Window(T0 + day * DAY, T0 + (day + 1) * DAY)
        collected.write(batch, window, rows_of(list(ids)), np.zeros((len(ids), 2)), ("0", "1"))

    return write


def labelled(book: LabelBook, batch: str) -> dict[str, object]:
    table = book.labels(batch)
    return dict(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))


def test_labels_join_when_their_window_and_the_delay_are_over(book, collect):
    collect("a", "xyz")
    book.stage("l", labels_of({"z": "1", "x": "0"}), arrival=LONG_AFTER)
    assert book.next_due(T0) == T0 + 2 * DAY  # the end of the window and the delay
    assert book.join(T0 + 2 * DAY - timedelta(microseconds=1)) == LabelCounts(pending=2)
    assert (book.pending, book.coverage("a"), book.revision("a")) == (2, 0.0, 0)
    assert book.join(T0 + 2 * DAY) == LabelCounts(joined=2)
    assert book.labels("a").to_pylist() == [{"id": "x", "label": "0"}, {"id": "z", "label": "1"}]
    assert (book.pending, book.coverage("a"), book.revision("a")) == (0, 2 / 3, 2)
    assert book.next_due(T0) is None
    assert book.join(LONG_AFTER) == LabelCounts()


def test_labels_that_arrive_before_the_delay_is_over_are_due_on_arrival(book, collect):
    collect("a", "x")
    book.stage("l", labels_of({"x": "1"}), arrival=T0 + DAY)
    assert book.next_due(T0) == T0 + DAY
    assert book.next_due(T0 + DAY) is None
    assert book.join(T0 + DAY).joined == 1


def test_the_moment_a_label_is_said_to_be_known_counts_before_all_else(book, collect):
    collect("a", "xy")
    book.stage("early", labels_of({"x": "1"}, available=T0 - DAY), arrival=LONG_AFTER)
    book.stage("late", labels_of({"y": "1"}, available=T0 + 50 * DAY), arrival=T0)
    assert book.join(T0) == LabelCounts(joined=1, pending=1)
    assert book.next_due(T0) == T0 + 50 * DAY
    assert book.join(T0 + 50 * DAY).joined == 1


def test_a_delivery_may_correct_its_own_labels(book, collect):
    collect("a", "xy")
    available = [T0 + 5 * DAY, T0, T0 + 3 * DAY, T0]
    labels = labels_of([("x", "1"), ("x", "1"), ("x", "0"), ("y", "1")], available=available)
    book.stage("l", labels, arrival=LONG_AFTER)
    said = []
    for day in (0, 3, 5):
        counts = book.join(T0 + day * DAY)
        said.append((labelled(book, "a"), counts.joined, counts.corrected, counts.pending))
    assert said == [
        ({"x": "1", "y": "1"}, 2, 0, 2),
        ({"x": "0", "y": "1"}, 0, 1, 1),
        ({"x": "1", "y": "1"}, 0, 1, 0),
    ]


def test_labels_wait_for_their_rows(book, collect):
    book.stage("l", labels_of({"x": "1", "y": "0", "nobody": "1"}), arrival=T0)
    assert book.join(LONG_AFTER) == LabelCounts(pending=3)
    assert book.next_due(T0 - DAY) is None
    collect("a", "ax")
    assert book.join(T0 + DAY) == LabelCounts(joined=1, pending=2)
    collect("b", "yb", 1)
    assert book.join(T0 + DAY) == LabelCounts(joined=1, pending=1)
    assert (labelled(book, "a"), labelled(book, "b")) == ({"x": "1"}, {"y": "0"})


def test_labels_of_unknown_rows_are_told_apart_from_those_that_are_not_due(book, collect, collected):
    assert book.unmatched == Unmatched()
    collect("a", "xy")
    book.stage("known", labels_of({"x": "1"}), arrival=LONG_AFTER)
    assert (book.pending, book.unmatched) == (1, Unmatched()), "not due yet"
    book.stage("second", labels_of({"v": "1", "y": "1"}), arrival=T0 + 2 * DAY)
    book.stage("first", labels_of({"z": "0", "w": "1"}), arrival=T0 + DAY)
    assert book.unmatched == Unmatched(rows=3, since=T0 + DAY)
    book.join(LONG_AFTER)
    collect("b", "zwu", 1)
    assert book.unmatched == Unmatched(rows=1, since=T0 + 2 * DAY)
    book.join(LONG_AFTER)
    collected.discard("b")
    assert book.unmatched == Unmatched(rows=1, since=T0 + 2 * DAY), "those of a batch that was there wait for no other"
    book.stage("again", labels_of({"z": "1", "u": "1"}), arrival=T0)
    assert book.unmatched == Unmatched(rows=2, since=T0), "u had no label when its batch went"
    collect("c", "uv", 2)
    assert book.unmatched == Unmatched()


def test_a_delivery_may_hold_labels_of_many_batches(book, collect):
    for day, batch in enumerate("abc"):
        collect(batch, batch + batch.upper(), day)
    book.stage("l", labels_of(dict.fromkeys("aAbC", "1")), arrival=LONG_AFTER)
    assert book.join(T0 + 3 * DAY).joined == 3
    assert book.labelled_rows() == {"a": 2, "b": 1, "c": 0}
    assert book.join(T0 + 4 * DAY).joined == 1
    assert list(book.labelled_rows().items()) == [("a", 2), ("b", 1), ("c", 1)]
    assert book.total == (4, 3)


def test_the_same_delivery_again_changes_nothing(book, collect):
    collect("a", "x")
    labels = labels_of({"x": "1"})
    for _ in range(2):
        book.stage("l", labels, arrival=T0)
    assert book.pending == 1
    assert book.join(LONG_AFTER) == LabelCounts(joined=1)
    book.stage("l", labels, arrival=T0 + DAY)
    assert (book.pending, book.join(LONG_AFTER)) == (0, LabelCounts())


def test_other_content_under_the_same_name_is_not_lost(book, collect):
    collect("a", "xy")
    book.stage("l", labels_of({"x": "1"}), arrival=T0)
    for _ in range(2):
        book.stage("l", labels_of({"x": "0", "y": "1"}), arrival=T0 + DAY)
    assert book.join(LONG_AFTER) == LabelCounts(joined=2, corrected=1)
    assert labelled(book, "a") == {"x": "0", "y": "1"}


def test_the_later_of_two_labels_counts_whenever_it_comes(book, collect):
    collect("a", "xy")
    book.stage("second", labels_of({"x": "2", "y": "2"}, available=T0 + 2 * DAY), arrival=T0)
    assert book.join(LONG_AFTER).joined == 2
    before = book.revision("a")
    book.stage("first", labels_of({"x": "1", "y": "2"}, available=T0 + DAY), arrival=LONG_AFTER)
    assert book.join(LONG_AFTER) == LabelCounts(corrected=1, duplicate=1)
    assert labelled(book, "a") == {"x": "2", "y": "2"}
    book.stage("third", labels_of({"x": "3", "y": "2"}, available=T0 + 3 * DAY), arrival=T0)
    assert book.join(LONG_AFTER) == LabelCounts(corrected=1, duplicate=1)
    assert labelled(book, "a") == {"x": "3", "y": "2"}
    assert book.revision("a") > before


def test_a_repeated_label_is_as_late_as_its_repetition(book, collect):
    collect("a", "x")
    for delivery, label, day in (("1", "up", 1), ("3", "up", 3), ("2", "down", 2)):
        book.stage(delivery, labels_of({"x": label}, available=T0 + day * DAY), arrival=T0)
        book.join(LONG_AFTER)
    assert labelled(book, "a") == {"x": "up"}


def test_of_two_labels_at_the_same_moment_the_later_arrival_counts(book, collect):
    collect("a", "x")
    book.stage("z", labels_of({"x": "1"}, available=T0), arrival=T0)
    book.stage("b", labels_of({"x": "2"}, available=T0), arrival=T0 + DAY)
    assert book.join(LONG_AFTER) == LabelCounts(joined=1, corrected=1)
    assert labelled(book, "a") == {"x": "2"}


def test_contradictions_inside_a_delivery_end_with_its_last_word(book, collect):
    collect("a", "xy")
    book.stage("l", labels_of([("x", "1"), ("y", "1"), ("x", "2"), ("y", "1")]), arrival=T0)
    assert book.join(LONG_AFTER) == LabelCounts(joined=2, corrected=1, duplicate=1)
    assert labelled(book, "a") == {"x": "2", "y": "1"}


def test_values_stay_values(book, collect):
    collect("a", "xy")
    book.stage("l", labels_of({"x": 0.1, "y": -3.0}), arrival=T0)
    book.join(LONG_AFTER)
    assert labelled(book, "a") == {"x": 0.1, "y": -3.0}
    with pytest.raises(DataError, match="m, column 'label'"):
        book.stage("m", labels_of({"x": "1"}), arrival=T0)
    assert book.pending == 0


def test_a_missing_label_is_refused_with_its_row(book):
    with pytest.raises(DataError, match=r"^l,? ?.*missing") as caught:
        book.stage("l", labels_of({"x": "1", "y": None}), arrival=T0)
    assert caught.value.file == "l"
    assert book.pending == 0


def test_an_empty_delivery_is_no_error(book, collect):
    book.stage("l", labels_of({}), arrival=T0)
    collect("a", "")
    assert (book.join(LONG_AFTER), book.coverage("a"), book.labels("a").num_rows) == (LabelCounts(), 0.0, 0)


def test_a_batch_that_is_not_collected_is_a_lookup_error(book):
    for ask in (book.labels, book.coverage, book.revision):
        with pytest.raises(LookupError, match="batch 'a' is not collected"):
            ask("a")


def test_labels_outlive_their_discarded_batch(book, collect, collected):
    collect("a", "xy")
    book.stage("l", labels_of({"x": "1", "y": "0"}), arrival=T0)
    book.join(LONG_AFTER)
    collected.discard("a")
    assert book.labelled_rows() == {}
    collect("a", "zyx")
    book.join(LONG_AFTER)
    assert labelled(book, "a") == {"y": "0", "x": "1"}
    collected.discard("a")
    book.join(LONG_AFTER)
    collect("b", "xyw")
    book.join(LONG_AFTER)
    assert book.coverage("b") == 2 / 3


def test_a_batch_written_anew_keeps_the_labels_of_its_rows(book, collect):
    collect("a", "xy")
    book.stage("l", labels_of({"x": "1", "y": "0", "z": "2"}), arrival=T0)
    book.join(LONG_AFTER)
    collect("a", "zx")
    book.join(LONG_AFTER)
    assert book.labels("a").to_pylist() == [{"id": "z", "label": "2"}, {"id": "x", "label": "1"}]
    assert book.labelled_rows() == {"a": 2}


def test_naive_times_are_refused(book):
    naive = T0.replace(tzinfo=None)
    with pytest.raises(ValueError, match="naive"):
        book.stage("l", labels_of({"x": "1"}), arrival=naive)
    assert book.pending == 0


def test_batches_are_unsettled_until_their_revision_is_recorded(book, collect):
    collect("b", "xy", 1)
    collect("a", "z")
    assert list(book.unsettled({"a": 1})) == ["a"]
    book.stage("l", labels_of({"x": "1", "z": "0"}), arrival=T0)
    book.join(LONG_AFTER)
    assert list(book.unsettled({})) == ["a", "b"]
    assert list(book.unsettled({"a": book.revision("a")})) == ["b"]
    recorded = {batch: book.revision(batch) for batch in "ab"}
    assert list(book.unsettled(recorded)) == []
    book.stage("m", labels_of({"y": "1"}), arrival=T0)
    book.join(LONG_AFTER)
    assert list(book.unsettled(recorded)) == ["b"]


def test_a_batch_that_comes_late_has_its_place(book, collect):
    for day, batch in ((0, "a"), (3, "d"), (1, "b"), (2, "c")):
        collect(batch, batch, day)
        book.stage(f"for {batch}", labels_of({batch: "1"}), arrival=T0)
        book.join(LONG_AFTER)
        assert list(book.labelled_rows()) == sorted(book.labelled_rows())
        assert book.total == (sum(book.labelled_rows().values()), len(book.labelled_rows()))
    assert list(book.unsettled({})) == ["a", "b", "c", "d"]

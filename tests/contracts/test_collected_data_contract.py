"""What every `CollectedData` promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from monitor.app.ports import CollectedData
from monitor.domain.batch import Window
from tests.contracts.fakes import rows_of

T0 = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CLASSES = ("DOWN", "UP")


def window(day: int) -> Window:
    return Window(T0 + day * DAY, T0 + (day + 1) * DAY)


def collect(collected: CollectedData, batch: str, ids: str, day: int = 0) -> None:
    """`ids`: one letter per row."""
    collected.write(batch, window(day), rows_of(list(ids)), np.full((len(ids), 2), 0.5), CLASSES)


def test_rows_and_scores_come_back_as_they_were(collected: CollectedData):
    rows = pa.table(
        {
            "row_id": pa.array(["a", "ä", ""], pa.string()),
            "timestamp": pa.array([T0, T0 + DAY, None], pa.timestamp("us", "UTC")),
            "price": pa.array([0.5, None, -1.0]),
            "day": pa.array(["mon", None, "tue"]).dictionary_encode(),
            "holiday": pa.array([True, None, False]),
            "image": pa.array([[0.0, 1.0], [0.5, 0.25], [1.0, 1.0]], pa.list_(pa.float32(), 2)),
        }
    )
    scores = np.array([[0.1, 0.9], [0.25, 0.75], [1.0, 0.0]])
    collected.write("day/1", window(0), rows, scores, CLASSES)
    table = collected.read("day/1")
    assert table.column_names == [*rows.column_names, "score:DOWN", "score:UP"]
    assert table.select(rows.column_names).equals(rows)
    assert table["score:UP"].to_pylist() == [0.9, 0.75, 0.0]
    assert np.array_equal(collected.scores("day/1"), scores)
    assert collected.ids("day/1").equals(rows["row_id"].combine_chunks())
    assert collected.window("day/1") == window(0)


def test_other_scores_lie_beside_those_that_were_served(collected: CollectedData):
    served, raw = np.array([[0.1, 0.9], [0.25, 0.75]]), np.array([[0.5, 0.5], [0.75, 0.25]])
    collected.write("a", window(0), rows_of(["a", "b"]), served, CLASSES, beside={"raw:": raw})
    table = collected.read("a")
    assert table["score:UP"].to_pylist() == [0.9, 0.75]
    assert table["raw:UP"].to_pylist() == [0.5, 0.25]
    assert np.array_equal(collected.scores("a"), served)


def test_values_are_scores_without_classes(collected: CollectedData):
    collected.write("a", window(0), rows_of(["a", "b"]), np.array([1.5, -2.0]), ())
    assert collected.read("a")["score:value"].to_pylist() == [1.5, -2.0]
    assert collected.scores("a").tolist() == [1.5, -2.0]


def test_a_batch_without_rows_is_kept(collected: CollectedData):
    collect(collected, "a", "")
    assert collected.scores("a").shape == (0, 2)
    assert (len(collected.ids("a")), list(collected.batches())) == (0, ["a"])


def test_scores_must_fit_the_rows(collected: CollectedData):
    with pytest.raises(ValueError, match=r"shape \(1, 2\), expected \(2, 2\)"):
        collected.write("a", window(0), rows_of(["a", "b"]), np.zeros((1, 2)), CLASSES)
    assert list(collected.batches()) == []


def test_batches_come_in_order_of_window_end(collected: CollectedData):
    for batch, day in (("b", 2), ("c", 1), ("a", 1), ("d", 0)):
        collect(collected, batch, batch, day)
    assert list(collected.batches()) == ["d", "a", "c", "b"]
    assert [list(collected.batches(last)) for last in (0, 2, 9)] == [[], ["c", "b"], ["d", "a", "c", "b"]]
    assert [name in collected for name in ("a", "d", "e", None)] == [True, True, False, False]


def test_names_may_hold_anything(collected: CollectedData):
    names = ["2024/05/01", "2024%2F05%2F01", ".hidden", "..", "a b", "日" * 90, "x" * 400, "x" * 401]
    for number, name in enumerate(names):
        collect(collected, name, chr(ord("a") + number), number)
    assert list(collected.batches()) == names
    assert [collected.ids(name)[0].as_py() for name in names] == list("abcdefgh")


def test_a_row_of_another_batch_is_a_duplicate(collected: CollectedData):
    collect(collected, "first", "abc")
    collect(collected, "second", "de", 1)
    ids = pa.array(["x", "e", "a", "y", "c"])
    assert collected.duplicates("third", ids) == {1: "second", 2: "first", 4: "first"}
    assert collected.duplicates("first", ids) == {1: "second"}
    assert collected.duplicates("", pa.array([], pa.string())) == {}


def test_writing_again_replaces_rows_window_and_place(collected: CollectedData):
    collect(collected, "a", "abc", 0)
    collect(collected, "b", "d", 1)
    assert collected.duplicates("", pa.array(["a"])) == {0: "a"}
    digest = collected.digest("a")
    collect(collected, "a", "cx", 2)
    assert list(collected.batches()) == ["b", "a"]
    assert collected.window("a") == window(2)
    assert collected.ids("a").to_pylist() == ["c", "x"]
    assert collected.digest("a") != digest
    assert collected.duplicates("", pa.array(["a", "b", "c", "x", "d"])) == {2: "a", 3: "a", 4: "b"}
    collect(collected, "a", "abc", 2)
    assert collected.digest("a") == digest


def test_a_discarded_batch_was_never_there(collected: CollectedData):
    collect(collected, "a", "abc")
    assert collected.duplicates("", pa.array(["a"])) == {0: "a"}
    collected.discard("a")
    collected.discard("a")
    assert list(collected.batches()) == []
    assert collected.duplicates("b", pa.array(["a"])) == {}
    for read in (collected.read, collected.scores, collected.ids, collected.window, collected.digest):
        with pytest.raises(LookupError, match="batch 'a' is not collected"):
            read("a")
    collect(collected, "a", "abc")
    assert collected.duplicates("b", pa.array(["a"])) == {0: "a"}


def test_the_digest_tells_where_one_id_ends(collected: CollectedData):
    seen = set()
    for rows in (["ab", "c"], ["a", "bc"], ["c", "ab"], ["abc"], []):
        collected.write("a", window(0), rows_of(rows), np.zeros((len(rows), 2)), CLASSES)
        seen.add(collected.digest("a"))
    assert len(seen) == 5


def test_nothing_rejected_leaves_nothing(collected: CollectedData):
    rejected = pa.table({"row": [3], "column": ["price"], "reason": ["type"], "detail": [""], "content": ["{}"]})
    assert collected.quarantine("a/b", rejected.slice(0, 0)) is None
    assert collected.quarantine("a/b", rejected) is not None


def test_what_was_collected_since_a_mark_is_told(collected: CollectedData):
    beginning, everything = collected.changes(0)
    assert everything is None or list(everything) == []
    collect(collected, "b", "xy", 2)
    collect(collected, "a", "z", 1)
    mark, fresh = collected.changes(beginning)
    assert list(fresh or ()) == ["b", "a"]
    collect(collected, "b", "xy", 2)  # the same again
    assert [*collected.changes(mark)] == [mark, []]
    collect(collected, "c", "q", 3)
    later, fresh = collected.changes(mark)
    assert list(fresh or ()) == ["c"] and collected.changes(beginning)[1] == ["b", "a", "c"]
    assert collected.changes(later) == (later, [])


@pytest.mark.parametrize("change", ["other rows", "another window", "discarded"])
def test_after_another_change_all_is_to_be_looked_at(collected: CollectedData, change: str):
    collect(collected, "a", "xy")
    mark, _ = collected.changes(0)
    if change == "discarded":
        collected.discard("a")
    else:
        collect(collected, "a", "xyz" if change == "other rows" else "xy", 0 if change == "other rows" else 1)
    later, fresh = collected.changes(mark)
    assert fresh is None and collected.changes(later) == (later, [])

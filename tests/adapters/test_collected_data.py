"""What is particular to the Parquet files: where they lie, and what is left after a crash or a full disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.collected_data import ParquetCollectedData
from monitor.adapters.row_ids import IdIndex
from monitor.adapters.safe_names import safe_name
from monitor.domain.batch import Window
from monitor.errors import StoreError
from tests.adapters.small_disk import fill, small_disk
from tests.contracts.fakes import rows_of

T0 = datetime(2024, 5, 1, 22, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Window(T0, T0 + DAY)


def collect(collected: ParquetCollectedData, batch: str, ids: list[str], window: Window = WINDOW) -> None:
    collected.write(batch, window, rows_of(ids), np.linspace(0, 1, len(ids)), ())


def files(folder: Path) -> list[str]:
    """All but the index, which can be made anew from the others."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != "index")


def test_rows_lie_by_utc_day_of_the_window_start(tmp_path):
    east = T0.astimezone(timezone(timedelta(hours=9)))
    collected = ParquetCollectedData(tmp_path)
    collect(collected, "day/1", ["a"], Window(east, east + DAY))
    assert files(tmp_path) == ["rows/date=2024-05-01/day%2F1.parquet"]


def test_what_was_written_is_found_after_a_restart(tmp_path):
    first = ParquetCollectedData(tmp_path)
    for number in range(3):
        collect(first, f"b/{number}", [f"{number}-{row}" for row in range(4)], Window(T0 - number * DAY, T0))
    again = ParquetCollectedData(tmp_path)
    assert list(again.batches()) == list(first.batches()) == ["b/2", "b/1", "b/0"]
    for batch in first.batches():
        assert again.read(batch).equals(first.read(batch))
        assert (again.window(batch), again.digest(batch)) == (first.window(batch), first.digest(batch))
        assert np.array_equal(again.scores(batch), first.scores(batch))
    assert again.duplicates("new", pa.array(["x", "1-3", "2-0"])) == {1: "b/1", 2: "b/2"}


def test_a_file_in_the_making_is_no_batch(tmp_path):
    collect(ParquetCollectedData(tmp_path), "a", ["a"])
    (tmp_path / "rows" / "date=2024-05-01" / ".b.parquet.0123.partial").write_bytes(b"PAR1")
    assert list(ParquetCollectedData(tmp_path).batches()) == ["a"]


@pytest.mark.parametrize("days", [-3, 3])  # the order of the folders must not decide
def test_a_batch_that_moved_to_another_day_is_there_once_even_after_a_crash(tmp_path, days):
    collected = ParquetCollectedData(tmp_path)
    collect(collected, "a", ["a", "b"])
    former = tmp_path / "rows" / "date=2024-05-01" / "a.parquet"
    kept = former.read_bytes()
    collect(collected, "a", ["a", "c"], Window(T0 + days * DAY, T0 + 9 * DAY))
    (now,) = files(tmp_path)
    former.write_bytes(kept)  # as if the process had died before it was removed
    assert ParquetCollectedData(tmp_path).ids("a").to_pylist() == ["a", "c"]
    assert files(tmp_path) == [now]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_file_is_named(tmp_path, content):
    collected = ParquetCollectedData(tmp_path)
    collect(collected, "a", ["a"])
    path = tmp_path / "rows" / "date=2024-05-01" / "a.parquet"
    path.write_bytes(content)
    for ask in (lambda: collected.read("a"), ParquetCollectedData(tmp_path).batches):
        with pytest.raises(StoreError, match=f"{path}: cannot be read"):
            ask()


def test_a_strange_file_is_named(tmp_path):
    folder = tmp_path / "rows" / "date=2024-05-01"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"a": [1]}), folder / "a.parquet")
    with pytest.raises(StoreError, match=r"a\.parquet: not a file of ours"):
        ParquetCollectedData(tmp_path).batches()


def test_a_feature_named_like_a_score_is_refused(tmp_path):
    rows = rows_of(["a"], **{"score:value": [1.0]})
    with pytest.raises(ValueError, match="named like scores: score:value"):
        ParquetCollectedData(tmp_path).write("a", WINDOW, rows, np.zeros(1), ())
    assert files(tmp_path) == []


def test_rejected_rows_are_kept_with_their_reasons(tmp_path):
    rejected = pa.table({"row": [3], "column": ["price"], "reason": ["type"], "detail": ["x"], "content": ["{}"]})
    path = ParquetCollectedData(tmp_path).quarantine("day/1", rejected)
    assert path == tmp_path / "quarantine" / "day%2F1.parquet"
    assert pq.read_table(path).to_pylist() == rejected.to_pylist()


def test_on_a_full_disk_nothing_is_half_written_and_it_goes_on_when_there_is_space(tmp_path):
    large = [f"row-{number}" for number in range(200_000)]
    with small_disk(tmp_path / "disk", 8192) as disk:
        collected = ParquetCollectedData(disk)
        collect(collected, "a", ["a"])
        before, ballast = files(disk), fill(disk, leave_kib=64)
        for batch in ("a", "b"):
            with pytest.raises(StoreError, match=rf"{disk}/rows/date=2024-05-01/{batch}\.parquet"):
                collect(collected, batch, large)
        with pytest.raises(StoreError, match=rf"{disk}/quarantine/b\.parquet"):
            collected.quarantine("b", pa.table({"content": large}))
        ballast.unlink()
        assert files(disk) == before
        assert (list(collected.batches()), collected.ids("a").to_pylist()) == (["a"], ["a"])
        collect(collected, "b", large)
        assert len(ParquetCollectedData(disk).ids("b")) == len(large)


@given(st.lists(st.lists(st.integers(0, 12), max_size=30), max_size=12), st.integers(0, 40), st.data())
def test_the_index_finds_every_pair_and_no_other(parts, in_memory, data):
    """Hashes are given, so that equal ones of different ids occur as well; what is not in memory is in files."""
    wanted = np.array(data.draw(st.lists(st.integers(0, 14), max_size=20)), np.uint64)
    with TemporaryDirectory() as folder:
        (Path(folder) / "7.run").write_bytes(b"left by a process that is gone")
        index = IdIndex(Path(folder), in_memory=in_memory)
        for owner, hashes in enumerate(parts):
            index.add(owner, np.array(hashes, np.uint64))
        positions, owners = index.hits(wanted)
        rows, stored = sum(map(len, parts)), sum(each.stat().st_size for each in Path(folder).iterdir())
        assert 12 * (rows - in_memory) <= stored <= 12 * rows
    expected = [
        (owner, position)
        for owner, hashes in enumerate(parts)
        for position, value in enumerate(wanted.tolist())
        for held in hashes
        if held == value
    ]
    assert sorted(zip(owners.tolist(), positions.tolist(), strict=True)) == sorted(expected)
    assert owners.tolist() == sorted(owners.tolist())


def test_long_runs_are_merged_in_pieces(tmp_path):
    """More hashes than are held at a time, in runs that overlap; no file handle stays open."""
    rng = np.random.default_rng(3)
    parts = [rng.integers(0, 2**64, size, np.uint64) for size in (1_500_000, 900_000, 1_200_000)]
    index = IdIndex(tmp_path)
    for owner, hashes in enumerate(parts):
        index.add(owner, hashes)
    assert len(list(tmp_path.iterdir())) == 1
    wanted = np.concatenate([hashes[:: len(hashes) // 100] for hashes in parts])
    positions, owners = index.hits(wanted)
    assert sorted(positions.tolist()) == list(range(len(wanted)))
    sizes = [len(hashes[:: len(hashes) // 100]) for hashes in parts]
    assert owners.tolist() == np.repeat(np.arange(3), sizes).tolist()


def test_duplicates_are_found_again_after_the_index_was_removed(tmp_path):
    collected = ParquetCollectedData(tmp_path)
    ids = [f"r{i}" for i in range(10_000)]
    collect(collected, "a", ids)
    assert collected.duplicates("b", pa.array(ids[-1:])) == {0: "a"}
    (run,) = (tmp_path / "index" / "ids").iterdir()
    run.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        collected.duplicates("b", pa.array(ids[-1:]))
    assert collected.duplicates("b", pa.array(ids[-1:])) == {0: "a"}


@given(st.text(max_size=300), st.text(max_size=300))
def test_file_names_are_safe_and_differ_as_the_names_do(one, other):
    name = safe_name(one)
    assert len(name.encode()) <= 200
    assert not set(name) & set("/\\\0:*?\n")
    assert not name.startswith(".")
    assert (name == safe_name(other)) == (one == other)

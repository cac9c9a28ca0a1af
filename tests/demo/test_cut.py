"""A recorded stream, cut: every row is in exactly one piece, in order, and no label comes before its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.demo.cut import cut_stream
from monitor.errors import ConfigError, DataError

T0 = datetime(2024, 3, 1, tzinfo=UTC)


def recorded(folder: Path, rows: int, *, zone: str | None = None, backwards: bool = False) -> Path:
    minutes = [T0.replace(tzinfo=None) + timedelta(minutes=n) for n in range(rows)]
    if backwards:
        minutes.reverse()
    table = pa.table(
        {
            "when": pa.array(minutes, pa.timestamp("us", tz=zone)),
            "price": [float(minute.minute) for minute in minutes],
            "junk": ["x"] * rows,
            "class": ["UP" if minute.minute % 2 else "DOWN" for minute in minutes],
        }
    )
    pq.write_table(table, folder / "stream.parquet")
    return folder / "stream.parquet"


def read_all(folder: Path) -> list[pa.Table]:
    return [pq.read_table(file) for file in sorted(folder.glob("*.parquet"))]


@given(rows=st.integers(60, 200), batches=st.integers(1, 20), first=st.floats(0.05, 0.6), late=st.integers(0, 4))
def test_every_row_is_in_exactly_one_piece(tmp_path_factory, rows, batches, first, late):
    folder = tmp_path_factory.mktemp("cut")
    stream = recorded(folder, rows)
    cut = cut_stream(
        stream, folder / "out", label="class", timestamp="when", first=first, batches=batches, labels_late=late
    )
    training, pieces = pq.read_table(cut.training), read_all(folder / "out/incoming")
    ids = [*training["row_id"].to_pylist(), *(i for piece in pieces for i in piece["row_id"].to_pylist())]
    assert ids == [str(n) for n in range(rows)]
    assert len(pieces) == cut.batches == batches
    sizes = {piece.num_rows for piece in pieces}
    assert max(sizes) - min(sizes) <= 1
    assert all("class" not in piece.column_names for piece in pieces)

    ends = [piece["when"][-1].as_py() for piece in pieces]
    for k, labels in enumerate(read_all(folder / "out/labels")):
        assert labels["row_id"].to_pylist() == pieces[k]["row_id"].to_pylist()
        (known,) = set(labels["available_at"].to_pylist())
        assert known >= ends[k]
        if k + late < batches:
            assert known == ends[k + late]


def test_rows_are_put_in_order_of_time_and_zoned(tmp_path):
    cut = cut_stream(
        recorded(tmp_path, 60, backwards=True), tmp_path / "out", label="class", timestamp="when", batches=5
    )
    first = pq.read_table(cut.training)
    assert first["when"][0].as_py() == T0
    assert first["class"][1].as_py() == "UP"


def test_a_zoned_time_is_converted_not_relabelled(tmp_path):
    cut = cut_stream(
        recorded(tmp_path, 60, zone="Australia/Sydney"), tmp_path / "out", label="class", timestamp="when", batches=5
    )
    assert pq.read_table(cut.training)["when"][0].as_py() == T0  # the same instant, in another zone


def test_a_stream_without_clock_is_given_one_row_an_hour(tmp_path):
    cut = cut_stream(recorded(tmp_path, 60), tmp_path / "out", label="class", drop=["when", "junk"], batches=4)
    training = pq.read_table(cut.training)
    assert training.column_names == ["row_id", "timestamp", "price", "class"]
    times = training["timestamp"].to_pylist()
    assert times[0].utcoffset() == timedelta(0)
    assert {b - a for a, b in pairwise(times)} == {timedelta(hours=1)}


def test_it_does_not_write_over_what_a_monitor_may_have_seen(tmp_path):
    stream = recorded(tmp_path, 60)
    cut_stream(stream, tmp_path / "out", label="class", batches=4)
    with pytest.raises(ConfigError, match="incoming is not empty"):
        cut_stream(stream, tmp_path / "out", label="class", batches=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "klass"}, r"stream.parquet, column 'klass': there is no such column"),
        ({"label": "class", "timestamp": "price"}, r"column 'price': holds double, not timestamps"),
        ({"label": "class", "timestamp": "when", "batches": 500}, r"60 rows are too few"),
    ],
)
def test_what_cannot_be_cut_is_named(tmp_path, arguments, message):
    with pytest.raises(DataError, match=message):
        cut_stream(recorded(tmp_path, 60), tmp_path / "out", **arguments)


@pytest.mark.real
def test_elec2_gives_a_hundred_batches_of_362_or_363_rows(real_stream, tmp_path):
    cut_stream(real_stream("elec2"), tmp_path, label="class", timestamp="timestamp", drop=["date"])
    assert {piece.num_rows for piece in read_all(tmp_path / "incoming")} == {362, 363}
    assert len(read_all(tmp_path / "incoming")) == 100

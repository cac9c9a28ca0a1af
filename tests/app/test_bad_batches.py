"""What is wrong with a batch has one named outcome, and costs neither its good rows nor its neighbours."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from monitor.bootstrap import open_application
from monitor.domain.batch import DeliveryState
from tests.app.conftest import ANYTHING, Bench
from tests.support.project import START, Project, make_rows

AT_ONCE = ("inputs", "predictions", "labels")
ROWS = 120

Spoil = Callable[[pa.Table], bytes]


def parquet(rows: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(rows, file)
    return file.getvalue()


def csv(rows: pa.Table) -> bytes:
    file = io.BytesIO()
    pa_csv.write_csv(rows, file, pa_csv.WriteOptions(quoting_style="none"))
    return file.getvalue()


def json_lines(rows: pa.Table) -> list[str]:
    return [json.dumps(row, default=str) for row in rows.to_pylist()]


def replaced(rows: pa.Table, column: str, values: object) -> pa.Table:
    return rows.set_column(rows.column_names.index(column), column, values)


def changed(column: str, at: list[int], value: object) -> Callable[[pa.Table], pa.Table]:
    """Put `value` at some positions of a column."""

    def change(rows: pa.Table) -> pa.Table:
        values = rows.column(column).to_pylist()
        for position in at:
            values[position] = value
        return replaced(rows, column, pa.array(values, rows.schema.field(column).type))

    return change


def line(number: int, old: bytes, new: bytes) -> Spoil:
    """Change the CSV row with this number, by a regular expression."""

    def spoil(rows: pa.Table) -> bytes:
        lines = csv(rows).split(b"\n")
        lines[number] = re.sub(old, new, lines[number])
        return b"\n".join(lines)

    return spoil


def mixed_line_ends(rows: pa.Table) -> bytes:
    lines = csv(rows).splitlines()
    ends = [b"\n", b"\r\n"]
    return b"".join(content + ends[number % 2] for number, content in enumerate(lines))


def broken_json(rows: pa.Table) -> bytes:
    lines = json_lines(rows)
    lines[4] = lines[4][:-10]
    return "\n".join(lines).encode()


REFUSED_FILES: dict[str, tuple[str, Spoil, str]] = {
    "truncated Parquet": ("parquet", lambda rows: parquet(rows)[:-40], r"incoming/{name}: truncated"),
    "empty file": ("parquet", lambda rows: b"", r"incoming/{name}: the file is empty, not even a header"),
    "empty CSV": ("csv", lambda rows: b"\n\n", r"incoming/{name}: the file is empty, not even a header"),
    "unknown type": ("xlsx", parquet, r"incoming/{name}: unknown file type; known are \.parquet"),
    "missing column": (
        "parquet",
        lambda rows: parquet(rows.rename_columns(["row_id", "at", "a", "b", "color"])),
        r"incoming/{name}, column 'colour': missing column 'colour'; did you mean 'color'\?",
    ),
    "wrong type": (
        "parquet",
        lambda rows: parquet(replaced(rows, "a", rows.column("at"))),
        r"incoming/{name}, column 'a': wrong type",
    ),
    "no zone": (
        "parquet",
        lambda rows: parquet(replaced(rows, "at", rows.column("at").cast(pa.timestamp("us")))),
        r"incoming/{name}, column 'at': the timestamps have no zone.*schema\.timezone",
    ),
    "not UTF-8": (
        "csv",
        line(7, rb"(red|green|blue)", "grün".encode("latin-1")),
        r"incoming/{name}, row 7: not UTF-8.*byte \d+",
    ),
    "column twice": (
        "csv",
        lambda rows: csv(rows).replace(b"a,b,", b"a,a,", 1).replace(b'"a","b",', b'"a","a",', 1),
        r"incoming/{name}, column 'a': the column is there more than once",
    ),
}

REFUSED_ROWS: dict[str, tuple[str, Spoil, str, str, list[int], str]] = {
    # what: (suffix, spoil, column, reason, row numbers, detail)
    "wrong type": ("csv", line(8, rb",-?\d+\.\d+,", b",abc,"), "a", "wrong_type", [8], "abc"),
    "infinity": (
        "parquet",
        lambda rows: parquet(changed("b", [2, 5], np.inf)(rows)),
        "b",
        "not_finite",
        [3, 6],
        "inf",
    ),
    "id twice": (
        "parquet",
        lambda rows: parquet(replaced(rows, "row_id", twice(rows.column("row_id").to_pylist()))),
        "row_id",
        "duplicate_id",
        [10],
        "came before, in row 4",
    ),
    "no id": ("parquet", lambda rows: parquet(changed("row_id", [0], None)(rows)), "row_id", "missing_id", [1], ""),
    "in the future": (
        "parquet",
        lambda rows: parquet(changed("at", [1], datetime.now(UTC) + timedelta(days=1))(rows)),
        "at",
        "in_future",
        [2],
        "",
    ),
    "one without zone": ("csv", line(3, rb"Z,", b","), "at", "no_timezone", [3], ""),
    "no timestamp": ("parquet", lambda rows: parquet(changed("at", [119], None)(rows)), "at", "missing_timestamp",
                     [120], ""),
    "no time at all": ("csv", line(5, rb",2026-", b",someday-"), "at", "bad_timestamp", [5], "someday"),
    "broken JSON": ("jsonl", broken_json, "", "unreadable_row", [5], ""),
    "too few fields": ("csv", line(9, rb",\w+$", b""), "", "unreadable_row", [9], ""),
}  # fmt: skip

HARMLESS: dict[str, tuple[str, Spoil, str]] = {
    "extra column": (
        "parquet",
        lambda rows: parquet(rows.append_column("more", pa.array(range(rows.num_rows)))),
        r"columns that are not in the schema were ignored: more",
    ),
    "number as text": (
        "parquet",
        lambda rows: parquet(replaced(rows, "a", rows.column("a").cast(pa.string()))),
        r"values written as text were parsed: a",
    ),
    "all missing": (
        "parquet",
        lambda rows: parquet(replaced(rows, "b", pa.nulls(rows.num_rows, pa.float64()))),
        r"all values are missing: b",
    ),
    "unseen category": ("parquet", lambda rows: parquet(changed("colour", list(range(40)), "violet")(rows)), ""),
    "mixed line ends": ("csv", mixed_line_ends, ""),
    "JSON Lines": ("jsonl", lambda rows: "\n".join(json_lines(rows)).encode(), ""),
}


def twice(ids: list[str]) -> pa.Array:
    ids[9] = ids[3]
    return pa.array(ids)


def deliver(bench: Bench, suffix: str, spoil: Spoil) -> tuple[str, list[str]]:
    """A spoilt batch between two good ones, all with labels; returns its name and its ids before it was spoilt."""
    bench.project.add_batch()
    rows = bench.project.next_rows()
    name = f"batch_{bench.project.batches - 1:03d}.{suffix}"
    bench.put(name, spoil(rows.drop_columns(["y"])))
    ids = rows.column("row_id").to_pylist()
    bench.put_labels(f"of_{name}", ids, rows.column("y").to_pylist())
    bench.project.add_batch()
    return name, ids


def judged(bench: Bench, name: str) -> dict:
    """Make a pass and hold its neighbours to what every good batch gets; returns the spoilt batch's record."""
    number = int(name[6:9])
    records = bench.once()
    neighbours = [f"batch_{number + step:03d}.parquet" for step in (-1, 1)]
    assert sorted(records) == sorted([*neighbours, name])
    for neighbour in neighbours:
        record = records[neighbour]
        assert {c: record["verdicts"][c]["verdict"] for c in AT_ONCE} == dict.fromkeys(AT_ONCE, "ok")
        assert (record["rows"], record["quarantined"], record["performance"]["labels_coverage"]) == (ROWS, 0, 1.0)
    assert bench.once() == {}, "everything was judged, nothing comes twice"
    return records[name]


@pytest.mark.parametrize("what", REFUSED_FILES)
def test_a_file_is_refused(bench, what):
    suffix, spoil, message = REFUSED_FILES[what]
    name, ids = deliver(bench, suffix, spoil)
    record = judged(bench, name)
    for channel in AT_ONCE:
        verdict = record["verdicts"][channel]
        assert verdict["verdict"] == "bad_data"
        assert re.search(message.format(name=re.escape(name)), verdict["reason"]), verdict["reason"]
    assert (record["rows"], record["model_version"]) == (0, None)
    assert record["decision"] == "wait_data"  # bad data never causes a retrain
    entry = bench.entry(name)
    assert (entry.state, entry.reason) == (DeliveryState.BAD, record["verdicts"]["inputs"]["reason"])
    (told,) = [event for event in bench.events("bad_data") if event["batch"] == name]
    assert told["reason"] == entry.reason
    assert datetime.fromisoformat(told["at"]) >= entry.modified, "by the clock, not by its window"
    assert (bench.project.incoming / name).exists(), "the file stays where it is"

    bench.put(f"mended_{name}.parquet", parquet(mended(ids)))  # its rows are welcome, its labels were kept
    again = bench.once()[f"mended_{name}.parquet"]
    assert (again["rows"], again["performance"]["labels_coverage"]) == (ROWS, 1.0)


def mended(ids: list[str]) -> pa.Table:
    rows = make_rows(len(ids), np.random.default_rng(3), start=START, first_id=0)
    return replaced(rows.drop_columns(["y"]), "row_id", pa.array(ids))


@pytest.mark.parametrize("what", REFUSED_ROWS)
def test_rows_are_refused_and_the_others_go_on(bench, what):
    suffix, spoil, column, reason, numbers, detail = REFUSED_ROWS[what]
    name, ids = deliver(bench, suffix, spoil)
    record = judged(bench, name)
    assert [record["verdicts"][c]["verdict"] for c in AT_ONCE] == ["ok"] * 3
    kept = [i for number, i in enumerate(ids, 1) if number not in numbers]
    assert bench.collected_ids(name) == kept
    assert (record["rows"], record["quarantined"]) == (len(kept), len(numbers))
    assert record["performance"]["labels_coverage"] == 1.0
    rejected = bench.quarantined(name)
    assert [(r["row"], r["column"], r["reason"]) for r in rejected] == [(n, column, reason) for n in numbers]
    assert all(detail in r["detail"] for r in rejected)
    assert all(r["content"] for r in rejected)
    told = f"quarantined: {reason} ×{len(numbers)}; first: column {column!r}, row {numbers[0]}: "
    assert any(note.startswith(told) for note in record["notes"]), record["notes"]


@pytest.mark.parametrize("what", HARMLESS)
def test_nothing_is_refused_but_noted(bench, what):
    suffix, spoil, note = HARMLESS[what]
    name, ids = deliver(bench, suffix, spoil)
    record = judged(bench, name)
    assert all(record["verdicts"][c]["verdict"] in ("ok", "drift") for c in AT_ONCE)
    assert bench.collected_ids(name) == ids
    assert (record["rows"], record["quarantined"], record["performance"]["labels_coverage"]) == (ROWS, 0, 1.0)
    assert record["notes"] == ([note] if note else [])
    assert not bench.quarantine_file(name).exists()


@pytest.mark.parametrize(("what", "measure", "column"), [
    ("unseen category", "unseen", "colour"), ("all missing", "missing", "b"),
])  # fmt: skip
def test_what_is_kept_is_measured(bench, what, measure, column):
    suffix, spoil, _ = HARMLESS[what]
    name, _ = deliver(bench, suffix, spoil)
    judged(bench, name)
    (found,) = [m for m in bench.app.measures("tiny", name) if (m["measure"], m["column"]) == (measure, column)]
    assert found["effect"] >= 40 / ROWS - 0.01


@pytest.mark.parametrize(("suffix", "spoil"), [
    ("parquet", lambda rows: parquet(rows.slice(0, 0))), ("csv", lambda rows: csv(rows.slice(0, 0))),
])  # fmt: skip
def test_no_rows_are_too_little_and_never_ok(bench, suffix, spoil):
    name, _ = deliver(bench, suffix, spoil)
    record = judged(bench, name)
    assert [record["verdicts"][c]["verdict"] for c in AT_ONCE] == ["insufficient_data"] * 3
    assert [record["verdicts"][c]["reason"] for c in AT_ONCE] == ["no rows"] * 3
    assert record["notes"] == ["the file has no rows"]
    assert (record["rows"], record["decision"]) == (0, "wait_data")
    assert bench.entry(name).state is DeliveryState.DONE


def test_too_many_bad_rows_make_the_batch_bad(bench):
    name, _ = deliver(bench, "parquet", lambda rows: parquet(changed("a", list(range(13)), -np.inf)(rows)))
    record = judged(bench, name)
    assert record["verdicts"]["inputs"] == {
        **record["verdicts"]["inputs"],
        "verdict": "bad_data",
        "reason": "13 of 120 rows rejected: not_finite ×13; first: column 'a', row 1: " + bench.quarantined(name)[0][
            "detail"],
    }  # fmt: skip
    assert len(bench.quarantined(name)) == 13
    assert name not in bench.app.runtime("tiny").collected.batches()
    assert record["decision"] == "wait_data"


def test_an_id_of_an_earlier_batch_is_refused(bench):
    earlier = bench.project.add_batch()
    bench.once()
    known = bench.collected_ids(f"{earlier}.parquet")
    name, ids = deliver(bench, "parquet", lambda rows: parquet(changed("row_id", [6], known[2])(rows)))
    record = judged(bench, name)
    assert bench.collected_ids(name) == [i for number, i in enumerate(ids) if number != 6]
    (row,) = bench.quarantined(name)
    assert (row["row"], row["column"], row["reason"]) == (7, "row_id", "duplicate_id")
    assert row["detail"] == f"id {known[2]!r} is already in batch '{earlier}.parquet'"
    assert json.loads(row["content"])["row_id"] == known[2]
    assert (record["rows"], record["quarantined"]) == (ROWS - 1, 1)
    assert bench.record(f"{earlier}.parquet")["rows"] == ROWS


def test_rows_are_numbered_alike_whatever_they_are_refused_for(bench):
    """Among blank lines and broken rows: one that cannot be read, one that fails its column, one that came before."""
    earlier = bench.project.add_batch()
    bench.once()
    known = bench.collected_ids(f"{earlier}.parquet")[0]

    def spoiled(rows: pa.Table) -> bytes:
        lines = json_lines(changed("row_id", [6], known)(rows))
        lines[2] = lines[2][:-10]
        lines[4] = json.dumps({**json.loads(lines[4]), "a": "abc"})
        return "\n\n".join(["", *lines[:5], "", *lines[5:]]).encode()

    name, _ = deliver(bench, "jsonl", spoiled)
    judged(bench, name)
    assert {(row["row"], row["reason"]) for row in bench.quarantined(name)} == {
        (3, "unreadable_row"),
        (5, "wrong_type"),
        (7, "duplicate_id"),
    }


def test_timestamps_outside_the_promised_window(tmp_path):
    project = Project.create(tmp_path, changes={**ANYTHING, "batches": {"path": "incoming/{year}-{month}-{day}.csv"}})
    rows = project.next_rows()
    day = f"{START:%Y-%m-%d}.csv"
    late = changed("at", [4], START + timedelta(days=1))(rows).drop_columns(["y"])
    (project.incoming / day).write_bytes(csv(late))
    impossible = project.incoming / "2026-02-30.csv"
    impossible.write_bytes(csv(project.next_rows().drop_columns(["y"])))
    with open_application(project.config) as app:
        bench = Bench(project, app)
        records = bench.once()
        good, bad = records[day.removesuffix(".csv")], records["2026-02-30"]
        assert (good["rows"], good["quarantined"]) == (ROWS - 1, 1)
        assert good["window_start"] == START.isoformat()
        assert good["window_end"] == (START + timedelta(days=1)).isoformat()
        (row,) = bench.quarantined(day.removesuffix(".csv"))
        assert (row["row"], row["column"], row["reason"]) == (5, "at", "outside_window")
        assert bad["verdicts"]["inputs"]["verdict"] == "bad_data"
        assert re.search(
            r"incoming/2026-02-30\.csv: the path holds an impossible date", bad["verdicts"]["inputs"]["reason"]
        )


def test_a_configured_zone_places_timestamps_that_have_none(tmp_path):
    schema = {"timezone": "Europe/Berlin"}
    project = Project.create(tmp_path, changes={**ANYTHING, "schema": schema})
    rows = project.next_rows().drop_columns(["y"])
    local = pc.cast(rows.column("at"), pa.timestamp("us"))
    (project.incoming / "local.parquet").write_bytes(parquet(replaced(rows, "at", local)))
    with open_application(project.config) as app:
        record = Bench(project, app).once()["local.parquet"]
    assert (record["rows"], record["quarantined"]) == (ROWS, 0)
    assert record["window_start"] == (START - timedelta(hours=1)).isoformat()  # midnight in Berlin

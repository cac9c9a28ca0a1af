"""The same file again, another file under the same name, a file that is still being written."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from monitor.bootstrap import now_utc, open_application
from monitor.domain.batch import DeliveryKind, DeliveryState
from tests.app.conftest import ANYTHING, Bench
from tests.support.project import Project


def written(file: Path, *, ago: timedelta) -> None:
    at = (now_utc() - ago).timestamp()
    os.utime(file, (at, at))


def test_the_same_file_again_under_another_name_counts_once(bench):
    first = f"{bench.project.add_batch()}.parquet"
    bench.once()
    ids = bench.collected_ids(first)
    bench.put("once_more.parquet", (bench.project.incoming / first).read_bytes())
    neighbour = f"{bench.project.add_batch()}.parquet"
    assert list(bench.once()) == [neighbour]
    entry = bench.entry("once_more.parquet")
    assert (entry.state, entry.reason) == (DeliveryState.DUPLICATE, f"same content as incoming/{first}")
    assert bench.app.store.record("tiny", "once_more.parquet") is None
    assert bench.events("batch_duplicate")[-1]["delivery"] == "once_more.parquet"
    assert bench.collected_ids(first) == ids
    assert bench.record(first)["performance"]["labels_coverage"] == 1.0
    assert bench.once() == {}


def test_two_files_of_one_content_in_one_pass_count_once(bench):
    first = f"{bench.project.add_batch()}.parquet"
    bench.put(f"copy_of_{first}", (bench.project.incoming / first).read_bytes())
    assert list(bench.once()) == [first]
    assert bench.entry(f"copy_of_{first}").state is DeliveryState.DUPLICATE


def test_of_two_files_of_one_content_the_one_that_came_first_is_the_original(bench):
    first = f"{bench.project.add_batch()}.parquet"
    content = (bench.project.incoming / first).read_bytes()
    bench.put("a_copy.parquet", content)
    earlier = (bench.project.incoming / first).stat().st_mtime - 5
    os.utime(bench.project.incoming / first, (earlier, earlier))
    assert list(bench.once()) == [first]
    assert bench.entry("a_copy.parquet").reason == f"same content as incoming/{first}"


def test_a_file_replaced_after_it_was_processed_is_reported_and_not_used(bench):
    name = f"{bench.project.add_batch()}.parquet"
    bench.once()
    before, ids = bench.record(name), bench.collected_ids(name)
    bench.project.write(bench.project.incoming / name, bench.project.next_rows().drop_columns(["y"]))
    neighbour = f"{bench.project.add_batch()}.parquet"
    assert list(bench.once()) == [neighbour]
    assert (bench.record(name), bench.collected_ids(name)) == (before, ids)
    told = f"incoming/{name} was processed before with other content; give new rows a new name"
    assert bench.events("batch_replaced")[-1]["reason"] == told
    (again,) = [e for e in bench.app.store.entries("tiny", bench.entry(name).kind) if e.reason == told]
    assert again.state is DeliveryState.REPLACED
    assert bench.once() == {}
    assert len([e for e in bench.events("batch_replaced") if e["reason"] == told]) == 1, "told once"


def test_a_batch_that_was_refused_may_be_sent_again_under_another_name_only(bench):
    rows = bench.project.next_rows().drop_columns(["y"])
    bench.put("refused.parquet", b"")
    assert bench.once()["refused.parquet"]["verdicts"]["inputs"]["verdict"] == "bad_data"
    bench.project.write(bench.project.incoming / "refused.parquet", rows)
    assert bench.once() == {}
    assert "give new rows a new name" in bench.events("batch_replaced")[-1]["reason"]
    bench.project.write(bench.project.incoming / "mended.parquet", rows)
    assert bench.once()["mended.parquet"]["rows"] == rows.num_rows


def test_a_file_still_being_written_is_left_until_it_rests(tmp_path):
    """`settle` is an hour: what changed a moment ago may still grow; a footer still to come buys ten times as long."""
    changes = {**ANYTHING, "batches": {"path": "incoming/*", "settle": "1h"}}
    project = Project.create(tmp_path, changes=changes)
    resting, growing, headless = (project.incoming / f"{project.add_batch()}.parquet" for _ in range(3))
    whole = headless.read_bytes()
    headless.write_bytes(whole[:-100])
    written(resting, ago=timedelta(hours=2))
    written(headless, ago=timedelta(hours=2))
    with open_application(project.config) as app:
        bench = Bench(project, app)
        assert list(bench.once()) == [resting.name]
        assert bench.once() == {}
        written(growing, ago=timedelta(hours=2))
        headless.write_bytes(whole)
        written(headless, ago=timedelta(hours=2))
        found = bench.once()
        assert list(found) == [growing.name, headless.name]
        assert all((r["rows"], r["performance"]["labels_coverage"]) == (120, 1.0) for r in found.values())


def test_a_file_replaced_before_it_was_judged_is_the_batch(tmp_path):
    """The application stops between seeing a file and judging it, as when it is killed."""
    project = Project.create(tmp_path, changes=ANYTHING)
    name = f"{project.add_batch(labels=False)}.parquet"
    with open_application(project.config) as app:
        runtime = app.runtime("tiny")
        (delivery,) = runtime.batches.deliveries()
        app.store.see("tiny", DeliveryKind.BATCH, delivery, runtime.batches.fingerprint(delivery))
    rows: pa.Table = project.next_rows().drop_columns(["y"])
    project.write(project.incoming / name, rows)
    with open_application(project.config) as app:
        bench = Bench(project, app)
        (record,) = bench.once().values()
        assert bench.collected_ids(record["batch"]) == rows.column("row_id").to_pylist()
        states = [(e.state, e.reason) for e in app.store.entries("tiny", DeliveryKind.BATCH)]
        assert states == [(DeliveryState.REPLACED, "replaced before it was judged"), (DeliveryState.DONE, "")]

"""Old files go, each kind by its own limit; what a version was trained on stays, and nothing else notices."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from monitor.adapters.expiry import FolderExpiry
from monitor.app.memory import DetectorMemory, RetrainMemory
from monitor.app.restate import Restating
from monitor.app.retention import expire
from monitor.app.retrain_model import Orders
from monitor.app.runtime import Champion, Runtime
from monitor.app.unmatched_labels import unmatched_labels
from monitor.bootstrap import Application, open_application
from monitor.domain.batch import DeliveryKind
from monitor.domain.label_arrival import Unmatched
from monitor.errors import ConfigError, StoreError
from tests.adapters.small_disk import read_only
from tests.support.project import Project

DAY = timedelta(days=1)
CHANGES = {
    "retain": {"rows": "180d", "reports": "30d", "quarantine": "30d"},
    "retrain": {"mode": "off", "min_labels": 50},
    "gate": {"kind": "off"},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two batches that version 2 was trained on, then three that no version knows; all labelled."""
    project = Project.create(tmp_path_factory.mktemp("kept") / "project", changes=CHANGES)
    with open_application(project.config) as app:
        for _ in range(2):
            project.add_batch()
        app.once()
        app.once()
        assert app.retrain("tiny", Orders(), lambda share, what: None)["outcome"] == "promote"
        for _ in range(3):
            project.add_batch()
        app.once()
        app.once()
    return project


class Warnings:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def warning(self, event: str, **_: Any) -> None:
        self.seen.append(event)

    def info(self, event: str, **_: Any) -> None:
        """Of no interest."""

    error = warning


def age(folder: Path, days: float, name: str = "*") -> None:
    then = datetime.now(UTC).timestamp() - days * DAY.total_seconds()
    for file in folder.rglob(name):
        if file.is_file():
            os.utime(file, (then, then))


def collected(app: Application) -> list[str]:
    return list(app.runtime("tiny").collected.batches())


def test_rows_go_but_for_those_of_a_version(project: Project):
    data = project.folder / "var"
    folder = data / "collected" / "tiny"
    with open_application(project.config) as app:
        runtime = app.runtime("tiny")
        with runtime.working():
            assert len(collected(app)) == 5
            assert expire(runtime, runtime.clock())["rows"] == 0, "nothing is old"
            for name in ("batch_000", "batch_001", "batch_002", "batch_003"):
                age(folder, 200, f"{name}.parquet")
            before = RetrainMemory.load(app.store, "tiny")
            assert (before.rows_used, before.batches_used) == (240, 2)
            assert expire(runtime, runtime.clock())["rows"] == 2
            assert collected(app) == ["batch_000", "batch_001", "batch_004"]
            assert dict(runtime.book.labelled_rows()) == dict.fromkeys(collected(app), 120)
            after = RetrainMemory.load(app.store, "tiny")
            assert (after.rows_used, after.batches_used) == (0, 0)
        assert app.store.events("tiny", event="expired")[-1]["rows"] == 2
        assert len(app.store.records("tiny")) == 5, "the history stays"
        name = project.add_batch()
        assert [record.batch for record in app.once()] == [name]
        app.once()
        assert app.store.record("tiny", name)["performance"]["labels_coverage"] == 1.0
        assert unmatched_labels(app.store, "tiny").rows == 0


def test_labels_that_outlive_their_rows_wait_for_no_batch(tmp_path: Path):
    """They came later than the rows, so they go later: nobody is told that they match nothing."""
    project = Project.create(tmp_path / "project", changes=CHANGES)
    for _ in range(3):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
        runtime = app.runtime("tiny")
        age(project.folder / "var" / "collected" / "tiny" / "rows", 200, "batch_000.parquet")
        with runtime.working():
            assert expire(runtime, runtime.clock())["rows"] == 1
            assert runtime.book.pending == 120
            assert runtime.book.unmatched == Unmatched()
        project.write(project.labels / "nobodys.parquet", pa.table({"row_id": ["nobody"], "y": ["UP"]}))
        app.once()
        assert unmatched_labels(app.store, "tiny").rows == 1


def test_measures_outlive_the_rows(tmp_path: Path):
    """Taken of the rows as long as there are any; then as they were, unless the version's files are damaged."""
    project = Project.create(tmp_path / "project", changes=CHANGES)
    for _ in range(2):
        project.add_batch()
    rows = project.folder / "var" / "collected" / "tiny" / "rows"
    with open_application(project.config) as app:
        app.once()
        before = app.measures("tiny", "batch_000")
        assert {m["column"] for m in before} == {"a", "b", "colour", "score:UP", "predicted"}
        assert app.store.measures("tiny", "batch_000") == [], "a pass takes none that nobody has asked for"
        runtime = app.runtime("tiny")
        age(rows, 200, "batch_000.parquet")
        with runtime.working():
            assert expire(runtime, runtime.clock())["rows"] == 1
        assert app.measures("tiny", "batch_000") == before
        assert app.measures("tiny", "batch_002") is None
    reference = project.folder / "var" / "models" / "tiny" / "v000001" / "reference.safetensors"
    reference.chmod(0o644)
    reference.write_bytes(b"damaged")
    log = Warnings()
    with open_application(project.config, log=log) as app:
        runtime = app.runtime("tiny")
        age(rows, 200, "batch_001.parquet")
        with runtime.working():
            assert expire(runtime, runtime.clock())["rows"] == 1, "they go all the same"
        assert app.measures("tiny", "batch_001") == []
    assert log.seen == ["measures_lost"]


def test_labels_of_rows_that_cannot_be_removed_are_subtracted_once(tmp_path: Path):
    """The disk fails after the count went down: the next day it goes down no further, and the rows go."""
    project = Project.create(tmp_path / "project", changes=CHANGES)
    for _ in range(4):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
        app.once()
        runtime, rows = app.runtime("tiny"), project.folder / "var" / "collected" / "tiny" / "rows"
        with runtime.working():
            used = RetrainMemory(rows_used=480, batches_used=4)
            with runtime.transaction() as tx:
                used.save(tx, "tiny")
            for name in ("batch_000", "batch_001"):
                age(rows, 200, f"{name}.parquet")
            with read_only(rows):
                for _ in range(3):
                    with pytest.raises(StoreError, match="cannot be removed: Read-only file system"):
                        expire(runtime, runtime.clock())
                    memory = RetrainMemory.load(app.store, "tiny")
                    assert (memory.rows_used, memory.batches_used) == (240, 2)
            assert expire(runtime, runtime.clock())["rows"] == 2
            age(rows, 200, "batch_002.parquet")
            assert expire(runtime, runtime.clock())["rows"] == 1
            memory = RetrainMemory.load(app.store, "tiny")
            assert (memory.rows_used, memory.batches_used) == (120, 1)


def test_what_is_not_there_any_more_is_not_missed(project: Project):
    """Neither by a report nor by an operator who takes back the labels of a window without rows."""
    with open_application(project.config) as app:
        runtime = app.runtime("tiny")
        gone = "batch_002"
        age(project.folder / "var" / "collected" / "tiny", 200, f"{gone}.parquet")
        with runtime.working():
            expire(runtime, runtime.clock())
            assert gone not in collected(app)
        with pytest.raises(ConfigError, match=r"the rows of .* are kept no longer \(`retain\.rows`\)"):
            app.report("tiny", gone)
        with runtime.working():
            restating = Restating.begin(runtime, champion_of(runtime), DetectorMemory.load(app.store, "tiny", 2))
            restating.restate([gone])
        assert restating.records == {}


def champion_of(runtime: Runtime) -> Champion:
    champion = runtime.champion()
    assert champion is not None
    return champion


def test_the_other_kinds_go_by_their_own_limits(project: Project):
    data = project.folder / "var"
    report, quarantine = (
        data / "reports" / "tiny" / "old.html",
        data / "collected" / "tiny" / "quarantine" / "x.parquet",
    )
    with open_application(project.config) as app:
        for file in (report, quarantine):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
        row = b"row_id,at,a,b,colour\np1,2026-02-01T00:00:00Z,1,2,red\n"
        app.push("tiny", DeliveryKind.BATCH, "judged", ".csv", row)
        app.once()
        app.push("tiny", DeliveryKind.BATCH, "waiting", ".csv", row.replace(b"p1", b"p2"))
        inbox = data / "inbox" / "tiny"
        for folder, days in ((report.parent, 29), (quarantine.parent, 31), (inbox, 8)):
            age(folder, days)
        runtime = app.runtime("tiny")
        with runtime.working():
            removed = expire(runtime, runtime.clock())
        assert removed == {"rows": 0, "reports": 0, "quarantine": 1, "pushed": 1}
        assert [file.name for file in (inbox / "batches").iterdir()] == ["waiting.csv"]
        assert report.exists()
        assert not quarantine.exists()
        assert [record.batch for record in app.once()] == ["waiting"]
        with pytest.raises(Exception, match="with other content"):
            app.push("tiny", DeliveryKind.BATCH, "judged", ".csv", row.replace(b"p1", b"p3"))


def test_a_pass_looks_once_a_day(project: Project):
    with open_application(project.config) as app:
        runtime = app.runtime("tiny")
        app.once()
        first = runtime.expired
        app.once()
        assert runtime.expired == first
        runtime.expired = runtime.clock() - DAY
        app.once()
        assert runtime.expired > first


def test_a_deployment_without_files_has_nothing_to_expire(tmp_path: Path):
    now = datetime.now(UTC)
    empty = FolderExpiry(tmp_path, "none")
    assert empty.batches(now) == []
    assert (empty.remove_rows(now, ()), empty.remove_quarantine(now), empty.remove_reports(now)) == (0, 0, 0)

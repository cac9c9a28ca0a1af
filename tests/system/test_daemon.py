"""The real daemon: how it stops, goes on, shares its data folder, and lives with a model that fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from monitor.adapters.store.sql_store import SqlStore
from monitor.bootstrap import open_application
from tests.support.faults import make_fragile
from tests.support.project import Project
from tests.support.running import Running, until

OFF = {"retrain": {"mode": "off"}}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def start() -> Iterator[Callable[[Project], Running]]:
    started: list[Running] = []

    def begin(project: Project) -> Running:
        started.append(Running(project))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.wait()


def store(project: Project) -> SqlStore:
    return SqlStore(f"sqlite:///{project.folder / 'var' / 'monitor.db'}")


def recorded(project: Project) -> list[str]:
    return [r["batch"] for r in store(project).records("tiny")]


def monitor(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", "-c", str(project.config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """With a first model and one judged batch."""
    project = Project.create(tmp_path / "project", changes=OFF)
    make_fragile(project)
    project.add_batch()
    with open_application(project.config) as app:
        assert len(app.once()) == 1
    return project


def test_stopped_while_idle_and_started_again_it_goes_on(project, start):
    first = start(project)
    second = project.add_batch()
    until(lambda: second in recorded(project))
    assert first.stop() == 0
    assert first.wait_for("stopped")["drained"] is True
    third = project.add_batch()
    again = start(project)
    until(lambda: third in recorded(project))
    assert again.stop(signal.SIGINT) == 0
    assert recorded(project) == ["batch_000", "batch_001", "batch_002"]


def test_stopped_while_a_slow_model_scores_the_batch_is_whole_or_waits(project, start):
    (project.folder / "fault").write_text("slow")
    running = start(project)
    names = ["batch_000", project.add_batch(), project.add_batch(), project.add_batch()]
    until((project.folder / "scoring").exists)
    assert running.stop() == 0
    assert running.wait_for("draining")["waiting_for"] == ["tiny"]
    known = recorded(project)
    assert known == names[: len(known)]
    assert len(known) < len(names), "the rest waits"
    (project.folder / "fault").unlink()
    with open_application(project.config) as app:
        app.once()
        with app.runtime("tiny").working():
            assert list(app.runtime("tiny").collected.batches()) == names
    assert recorded(project) == names


def test_interrupted_training_is_given_up_and_made_at_the_next_start(tmp_path, start):
    project = Project.create(tmp_path / "project")
    code = project.folder / "models" / "model.py"
    mark = project.folder / "training"
    steps = "[(time.sleep(0.1), progress(step / 999, 'slow')) for step in range(999)]"
    slowly = f"import time; open({str(mark)!r}, 'w').close(); {steps}"
    good = code.read_text()
    code.write_text(good.replace("        weights = np.zeros(", f"        {slowly}\n        weights = np.zeros("))
    name = project.add_batch()
    running = start(project)
    until(mark.exists)
    assert running.stop(signal.SIGINT) == 0
    assert running.events("pass_given_up")
    assert store(project).manifests("tiny") == []
    code.write_text(good)
    again = start(project)
    until(lambda: name in recorded(project))
    assert again.stop() == 0
    assert [m.version for m in store(project).manifests("tiny")] == [1]


def test_retrain_and_labels_import_work_beside_it(project, start, tmp_path):
    running = start(project)
    running.wait_for("started")
    rows = project.next_rows()
    name = "batch_001"
    project.write(project.incoming / f"{name}.parquet", rows.drop_columns(["y"]))
    until(lambda: name in recorded(project))
    labels = tmp_path / "labels.parquet"
    project.write(labels, pa.table({"row_id": rows["row_id"], "y": rows["y"]}))
    done = monitor(project, "--json", "labels", "import", str(labels))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["joined"] == rows.num_rows
    done = monitor(project, "--json", "retrain")
    assert done.returncode in (0, 5), done.stderr
    assert json.loads(done.stdout)["outcome"] in ("promote", "keep", "reject")
    later = project.add_batch()
    until(lambda: later in recorded(project))
    assert store(project).record("tiny", name)["performance"]["labels_coverage"] == 1.0
    assert running.stop() == 0


def test_a_model_that_fails_is_tried_again_until_it_is_mended(project, start):
    fault = project.folder / "fault"
    fault.write_text("raises")
    running = start(project)
    names = [project.add_batch(), project.add_batch()]
    told = running.wait_for("pass_failed", count=2)
    assert "no luck today" in str(told["error"])
    assert "no luck today" in monitor(project, "status", "tiny").stdout
    assert recorded(project) == ["batch_000"]
    fault.unlink()
    until(lambda: names[-1] in recorded(project))
    running.wait_for("pass_recovered")
    assert recorded(project) == ["batch_000", *names]
    assert "passes fail" not in monitor(project, "status", "tiny").stdout
    assert len(store(project).events("tiny", event="pass_failed")) == 1, "the journal is for changes"
    assert len(store(project).events("tiny", event="pass_recovered")) == 1
    assert running.stop() == 0

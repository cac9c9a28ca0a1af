"""`kill -9` at random moments, of the daemon and of both its children: nothing is lost, nothing counts twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import psutil
import pytest

from monitor.adapters.store.sql_store import SqlStore
from monitor.bootstrap import open_application
from monitor.domain.model_reference import ModelReference
from monitor.domain.version import Alias
from tests.support.project import Project

KILLS = 20
BATCHES = 60
BUSY = {
    "retrain": {"min_labels": 100, "min_batches": 1, "cooldown": 0, "max_per_week": 10_000, "when": {"new_labels": 0.1}}
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project.create(tmp_path, changes=BUSY)
    for _ in range(BATCHES):
        project.add_batch()
    return project


@contextmanager
def daemon(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "monitor", "-c", str(project.config), "run"]
    log = (project.folder / "daemon.log").open("ab")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        log.close()


def recorded(project: Project) -> int:
    file = project.folder / "var" / "monitor.db"
    return SqlStore(f"sqlite:///{file}").count_records("tiny") if file.exists() else 0


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "what was waited for did not happen"
        sleep(0.005)


def children(process: subprocess.Popen[bytes], module: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if module in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:  # it ended while we looked
            continue
    return found


def check_everything(project: Project) -> None:
    """Let `once` finish what is left, then hold the whole state to the promises."""
    with open_application(project.config) as app:
        app.once()
        store, runtime = app.store, app.runtime("tiny")
        names = [f"batch_{k:03d}" for k in range(project.batches)]
        records = store.records("tiny")
        assert [r["batch"] for r in records] == names  # each exactly once, in event order
        with runtime.working():
            assert list(runtime.collected.batches()) == names
            late = runtime.book.pending
            assert late == 0
            assert dict(runtime.book.labelled_rows()) == dict.fromkeys(names, project.batch_rows)
        assert all(r["performance"]["labels_coverage"] == 1.0 for r in records)
        manifests = {m.version: m for m in store.manifests("tiny")}
        champion = store.alias("tiny", Alias.CHAMPION)
        bundle = runtime.artefacts.verify(manifests[champion])  # model and reference are what was saved
        ModelReference.from_bytes((bundle.folder / "reference.safetensors").read_bytes())
        assert json.loads((bundle.folder / "manifest.json").read_text())["version"] == champion
        moves = store.alias_history("tiny", Alias.CHAMPION)
        assert [m.version for m in moves] == sorted(manifests)  # every version was promoted once, and only those exist
        promoted = [e for e in store.events("tiny", event="attempt") if e["outcome"] == "promote"]
        assert len(promoted) == len(manifests) - 1


def test_the_daemon_is_killed(project):
    rng = np.random.default_rng(1)
    for _ in range(KILLS):
        with daemon(project) as process:
            sleep(rng.uniform(0.2, 4.0))  # from the first import to the middle of a batch or of a training run
            assert process.poll() is None
        if recorded(project) == project.batches:
            for _ in range(10):
                project.add_batch()
    assert recorded(project) > 0, "no kill came late enough to find the daemon at work"
    check_everything(project)


@pytest.mark.parametrize("module", ["monitor.adapters.scoring_child", "monitor.adapters.training_child"])
def test_a_child_is_killed(project, module):
    rng, killed = np.random.default_rng(2), 0
    with daemon(project) as process:
        while killed < KILLS:
            until(lambda: children(process, module), seconds=90)
            sleep(rng.uniform(0, 0.4))
            for child in children(process, module):
                with suppress(psutil.NoSuchProcess):  # it may end by itself just now
                    child.kill()
                    killed += 1
            if recorded(project) >= project.batches - 3:
                for _ in range(10):
                    project.add_batch()
            assert process.poll() is None, "the daemon went down with its child"
    check_everything(project)


def test_killed_leftovers_are_reaped(project):
    """A version folder that no transaction knows is gone at the next start."""
    with open_application(project.config) as app:
        app.once()
        version = app.store.next_version("tiny")
    folder: Path = project.folder / "var" / "models" / "tiny"
    stray = folder / str(version)
    stray.mkdir()
    (stray / "code.py").write_text("")
    with open_application(project.config) as app:
        app.once()
    assert not stray.exists()

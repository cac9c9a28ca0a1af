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
BATCHES = 8  # that wait at any time: enough for work never to run out, few enough to be finished soon after the kills
PATIENCE_SECONDS = 120
SCORING, TRAINING = "monitor.adapters.scoring_child", "monitor.adapters.training_child"
BUSY = {
    "schedule": {"every": "100ms"},
    "retrain": {
        "min_labels": 100,
        "min_batches": 1,
        "cooldown": 0,
        "max_per_week": 10_000,
        "when": {"new_labels": 0.3},
    },
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def project(tmp_path) -> Project:
    return Project.create(tmp_path, changes=BUSY)


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


class History:
    """How many batches are recorded; more are delivered with every look, so that work never runs out."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._file = project.folder / "var" / "monitor.db"
        self._store: SqlStore | None = None
        self.recorded()

    def recorded(self) -> int:
        if self._store is None and self._file.exists():
            self._store = SqlStore(f"sqlite:///{self._file}")
        count = self._store.count_records("tiny") if self._store else 0
        while self._project.batches < count + BATCHES:
            self._project.add_batch()
        return count

    def seconds_to_next(self, count: int = 1) -> float:
        """Wait until so many more batches are recorded; returns how long that took."""
        began, enough = monotonic(), self.recorded() + count
        until(lambda: self.recorded() >= enough)
        return monotonic() - began


def until(condition: Callable[[], object]) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not condition():
        assert monotonic() < deadline, "what was waited for did not happen"
        sleep(0.01)


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
    """Half of the kills come while it starts, half while it works; how long these take is measured on the way."""
    rng, history = np.random.default_rng(1), History(project)
    starting = cycle = 0.0
    for k in range(KILLS):
        with daemon(project) as process:
            if k % 2:
                sleep(rng.uniform(0, starting))  # from the first import to the first batch
            else:
                starting = history.seconds_to_next()
                cycle = cycle or history.seconds_to_next(3)
                sleep(rng.uniform(0, cycle))  # in the middle of a batch or of a training run
            assert process.poll() is None
    check_everything(project)


@pytest.mark.parametrize("child", [SCORING, TRAINING])
def test_a_child_is_killed(project, child):
    """At any moment of its life; half of the kills of the scoring child, which lives on, find it with batches done."""
    rng, history, killed = np.random.default_rng(2), History(project), 0
    with daemon(project) as process:
        history.seconds_to_next()
        life = one_life(process, child, history)
        while killed < KILLS:
            until(lambda: children(process, child))
            if child == SCORING and killed % 2:
                history.seconds_to_next()
            sleep(rng.uniform(0, life))
            for found in children(process, child):
                with suppress(psutil.NoSuchProcess):  # it may end by itself just now
                    found.kill()
                    killed += 1
            assert process.poll() is None, "the daemon went down with its child"
            history.recorded()
    check_everything(project)


def one_life(process: subprocess.Popen[bytes], child: str, history: History) -> float:
    """Seconds from a child's appearance until it is gone, or has seen three batches through."""
    until(lambda: children(process, child))
    began, enough = monotonic(), history.recorded() + 3
    until(lambda: not children(process, child) or history.recorded() >= enough)
    return monotonic() - began


def test_killed_leftovers_are_reaped(tmp_path):
    """A version folder that no transaction knows is gone at the next start."""
    project = Project.create(tmp_path)
    project.add_batch()
    with open_application(project.config) as app:
        app.once()
        stray: Path = app.runtime("tiny").artefacts.folder(app.store.next_version("tiny"))
    stray.mkdir()
    (stray / "code.py").write_text("")
    with open_application(project.config) as app:
        app.once()
    assert not stray.exists()

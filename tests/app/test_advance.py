"""Event time drives everything: a backlog ends as it would have live, and going back goes back whole."""

from __future__ import annotations

import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from monitor.app.advance import Listener
from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.domain.record import BatchRecord
from monitor.domain.version import Alias
from monitor.errors import ConfigError, SourceError
from tests.support.project import HOUR, START, Project, deployment

EAGER = {
    "retrain": {
        "min_labels": 100,
        "min_batches": 1,
        "cooldown": 2,
        "max_per_week": 10_000,
        "when": {"new_labels": 0.3},
    },
    "detect": {"false_alarms": "1 per 10 batches"},  # soon enough for twelve of them
    "labels": {"hold": 0},  # the relation flips at a stroke, as if the labels were wrong
}
OFF = {"retrain": {"mode": "off"}}
BATCHES = 12


def silent(share: float, what: str) -> None:
    """Nobody waits."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Twelve batches, the relation flipped from the seventh on, judged as one backlog."""
    project = Project.create(tmp_path_factory.mktemp("lived") / "project", changes=EAGER)
    for k in range(BATCHES):
        project.add_batch(flipped=k >= 6, shift=1.0 if k >= 9 else 0.0)
    with open_application(project.config) as app:
        app.once()
    return project


def history(project: Project) -> list[dict[str, Any]]:
    with open_application(project.config) as app:
        app.once()
        return [{k: v for k, v in r.items() if k != "seconds"} for r in app.store.records("tiny")]


def moves(project: Project) -> list[tuple[int | None, str]]:
    with open_application(project.config) as app:
        return [(m.version, m.reason) for m in app.store.alias_history("tiny", Alias.CHAMPION)]


def test_the_history_is_worth_comparing(lived):
    records = history(lived)
    assert len(records) == BATCHES
    assert len({r["model_version"] for r in records}) > 1, "there were promotions"
    assert "drift" in {r["verdicts"]["performance"]["verdict"] for r in records}


def fresh_copy(lived: Project, folder: Path) -> Project:
    """The same project before anything arrived."""
    (folder / "incoming").mkdir(parents=True)
    (folder / "labels").mkdir()
    shutil.copytree(lived.config, folder / "config")
    shutil.copytree(lived.folder / "models", folder / "models")
    shutil.copy(lived.folder / "training.parquet", folder)
    return Project(folder)


def deliver(lived: Project, project: Project, part: str, k: int) -> None:
    shutil.copy(lived.folder / part / f"batch_{k:03d}.parquet", project.folder / part)


@pytest.mark.slow
@pytest.mark.parametrize("restart", [False, True])
def test_one_by_one_ends_as_the_backlog_did(lived, tmp_path, restart):
    """Live: each batch comes when its hour is over, its labels an hour later."""
    project = fresh_copy(lived, tmp_path / "project")
    clock: list[datetime] = [START]

    def opened() -> Application:
        app = open_application(project.config)
        app.runtime("tiny").clock = lambda: clock[0]
        return app

    app = opened()
    for k in range(BATCHES + 1):
        clock[0] = START + (k + 1) * HOUR
        if k < BATCHES:
            deliver(lived, project, "incoming", k)
        if k:
            deliver(lived, project, "labels", k - 1)
        app.once()
        if restart:
            app.close()
            app = opened()
    app.close()
    assert history(project) == history(lived)
    assert moves(project) == moves(lived)


def test_one_told_to_stop_between_a_decision_and_its_attempt_ends_as_the_backlog_did(lived, tmp_path):
    """What came due meanwhile counts after the attempt, as it would have without the stop."""
    decided = next(k for k, record in enumerate(history(lived)) if record["decision"] == "retrain")
    project, stopped = fresh_copy(lived, tmp_path / "stopped"), threading.Event()
    for k in range(decided + 1):
        deliver(lived, project, "incoming", k)
        deliver(lived, project, "labels", k)

    def stop(record: BatchRecord) -> None:
        if record.decision == "retrain":
            stopped.set()

    with open_application(project.config) as app:
        assert len(app.once(None, Listener(record=stop, stop=stopped.is_set))) == decided + 1
        assert not app.store.events("tiny", event="attempt"), "it is still to be made"
    with open_application(project.config) as app:
        app.once()
        assert len(app.store.events("tiny", event="attempt")) == 1
    for k in range(decided + 1, BATCHES):
        deliver(lived, project, "incoming", k)
        deliver(lived, project, "labels", k)
    assert history(project) == history(lived)
    assert moves(project) == moves(lived)


def test_the_order_in_which_files_are_found_does_not_matter(lived, tmp_path):
    """Names say nothing about time here, so they are listed in another order than they happened."""
    project = fresh_copy(lived, tmp_path / "project")
    names = np.random.default_rng(5).permutation(BATCHES)
    for k in range(BATCHES):
        shutil.copy(lived.incoming / f"batch_{k:03d}.parquet", project.incoming / f"x{names[k]:03d}.parquet")
        deliver(lived, project, "labels", k)
    assert without_names(history(project)) == without_names(history(lived))


def without_names(part: Any) -> Any:
    """Whatever was recorded, except what batches and files are called, also deep inside."""
    if isinstance(part, dict):
        return {key: without_names(value) for key, value in part.items() if key not in ("batch", "fingerprint")}
    return [without_names(value) for value in part] if isinstance(part, list) else part


def test_a_late_batch_is_still_judged(tmp_path):
    project = Project.create(tmp_path, changes=OFF)
    late = f"{project.add_batch()}.parquet"
    (project.incoming / late).rename(tmp_path / late)
    project.add_batch()
    with open_application(project.config) as app:
        app.once()
        (tmp_path / late).rename(project.incoming / late)
        (record,) = app.once()
        stored = app.store.record("tiny", record.batch)
        assert f"{record.batch}.parquet" == late
        assert stored["verdicts"]["inputs"]["verdict"] == "ok"
        assert stored["performance"]["labels_coverage"] == 1.0
        assert record.window.end < START + HOUR


def test_labels_that_come_later_restate_and_raise_no_second_alarm(tmp_path):
    project = Project.create(tmp_path, changes={**OFF, "performance": {"metric": "accuracy", "floor": 0.6}})
    name = project.add_batch(flipped=True)
    whole = project.labels / f"{name}.parquet"
    table = pq.read_table(whole)
    project.write(project.labels / "most.parquet", table.slice(0, 100))
    whole.unlink()
    with open_application(project.config) as app:
        app.once()
        first = app.store.record("tiny", name)
        assert first["verdicts"]["performance"]["verdict"] == "drift"
        assert first["performance"]["labels_coverage"] == pytest.approx(100 / 120)
        state = app.store.state("tiny", "detector:1:performance")
        project.write(project.labels / "rest.parquet", table.slice(100))
        app.once()
        second = app.store.record("tiny", name)
        assert second["performance"]["labels_coverage"] == 1.0
        assert second["performance"]["realised"] != first["performance"]["realised"]
        assert second["verdicts"] == first["verdicts"]
        assert app.store.state("tiny", "detector:1:performance") == state


@pytest.fixture
def three_versions(tmp_path) -> Project:
    project = Project.create(tmp_path / "project", changes=OFF)
    project.add_batch()
    with open_application(project.config) as app:
        app.once()
        weights = app.runtime("tiny").artefacts.folder(1) / "weights"
        for version in (2, 3):
            assert app.add_model("tiny", weights, code=None, held_out=None).version == version
            assert app.store.alias("tiny", Alias.CANDIDATE) == version
            app.promote("tiny", version, "a try")
            assert (app.store.alias("tiny", Alias.CHAMPION), app.store.alias("tiny", Alias.CANDIDATE)) == (
                version,
                None,
            )
            project.add_batch(shift=1.0)
            assert [r.model_version for r in app.once()] == [version]
    return project


def test_going_back_twice_goes_back_twice(three_versions):
    with open_application(three_versions.config) as app:
        assert [app.rollback("tiny", "worse").version for _ in range(2)] == [2, 1]
        with pytest.raises(ConfigError, match="there is no earlier champion to go back to"):
            app.rollback("tiny", "worse")
        three_versions.add_batch()
        assert [r.model_version for r in app.once()] == [1]


def test_the_detector_comes_back_with_its_version_bit_for_bit(three_versions):
    with open_application(three_versions.config) as app:
        states = {v: app.store.state("tiny", f"detector:{v}:inputs") for v in (1, 2, 3)}
        assert all(states.values())
        assert states[3] != states[1]
        app.rollback("tiny", "worse")
        app.rollback("tiny", "worse")
        app.promote("tiny", 3, "it was better")
        assert {v: app.store.state("tiny", f"detector:{v}:inputs") for v in (1, 2, 3)} == states
        app.rollback("tiny", "no, worse")
        assert app.store.alias("tiny", Alias.CHAMPION) == 1
        three_versions.add_batch(shift=1.0)
        app.once()
        assert app.store.state("tiny", "detector:3:inputs") == states[3], "only the champion's goes on"
        assert app.store.state("tiny", "detector:1:inputs") != states[1]


def test_a_dry_run_changes_nothing_but_the_journal(lived, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(lived.folder, folder)
    project = Project(folder, batches=BATCHES)

    def seen(app: Application) -> tuple[object, ...]:
        store = app.store
        files = {
            p.relative_to(folder) for p in (folder / "var").rglob("*") if p.is_file() and "monitor.db" not in p.name
        }
        keys = ["policy", *(f"detector:{m.version}:inputs" for m in store.manifests("tiny"))]
        history = store.alias_history("tiny", Alias.CHAMPION)
        return store.records("tiny"), store.manifests("tiny"), history, [store.state("tiny", k) for k in keys], files

    with open_application(project.config) as app:
        app.once()
        before, journal = seen(app), app.store.events("tiny")
        attempt = app.retrain("tiny", Orders(mode="dry_run"), silent)
        assert attempt["dry_run"]
        assert attempt["losses"]["champion"] > 0
        assert seen(app) == before
        added = app.store.events("tiny")[len(journal) :]
        assert [(event["event"], event["dry_run"]) for event in added] == [("attempt_begun", True), ("attempt", True)]


def test_a_deployment_without_its_folder_does_not_stop_the_first(tmp_path):
    project = Project.create(tmp_path, changes=OFF)
    other = {**deployment(), "name": "aaa", "batches": {"path": "nowhere/*.parquet"}}
    (project.config / "deployments" / "aaa.yaml").write_text(yaml.safe_dump(other))
    name = project.add_batch()
    with open_application(project.config) as app:
        with pytest.raises(SourceError, match="nowhere"):
            app.once()
        assert [r["batch"] for r in app.store.records("tiny")] == [name]
        assert app.store.records("aaa") == []
        (tmp_path / "nowhere").mkdir()
        assert app.once() == []

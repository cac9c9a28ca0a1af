"""A promoted version is watched beside its predecessor, which comes back, whole, when the promoted one fails."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from monitor.app.advance import Listener
from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.domain.version import Alias
from tests.support.project import TINY_MODEL, Project

CHANNELS = ("inputs", "predictions", "labels", "performance")
BY_HAND = {
    "retrain": {
        "min_labels": 100, "when": {"new_labels": 1000.0, "change": False, "distance": False}, "watch": 6,
    },
    "gate": {"margin": 0.5, "max_latency_ratio": None},
}  # fmt: skip
FAILING = '''
import pathlib


class Failing(Model):
    """Turns its answers round once the file that its parameters name is there."""

    flag = None

    @classmethod
    def fit(cls, data, *, init, config, rng, progress):
        model = super().fit(data, init=init, config=config, rng=rng, progress=progress)
        model.flag = config.get("flag")
        return model

    def predict(self, frame):
        scores = super().predict(frame)
        return scores[:, ::-1].copy() if self.flag and pathlib.Path(self.flag).exists() else scores

    def save(self, folder):
        super().save(folder)
        (folder / "flag.json").write_text(json.dumps(self.flag))

    @classmethod
    def load(cls, folder):
        model = super().load(folder)
        model.flag = json.loads((folder / "flag.json").read_text())
        return model


Model = Failing
'''


class Crash(Exception):
    """The process ends here."""


def quiet(share: float, what: str) -> None:
    """Nobody waits."""


def kept(app: Application, version: int) -> tuple[object, ...]:
    """All that comes back with a version: its files, and the state of its detector."""
    folder = app.runtime("tiny").artefacts.folder(version)
    files = {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.rglob("*.*")}
    keys = [f"detector:{version}", *(f"detector:{version}:{channel}" for channel in CHANNELS)]
    return files, [app.store.state("tiny", key) for key in keys]


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Eight batches scored by version 1, then version 2, which will fail when the flag is raised."""
    folder = tmp_path_factory.mktemp("promoted")
    model = folder / "model.py"
    model.write_text(TINY_MODEL.read_text() + FAILING)
    project = Project.create(folder / "project", model=model, changes=BY_HAND)
    for _ in range(8):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
    project.configure({**BY_HAND, "model": {"params": {"flag": str(folder / "flag")}}})
    with open_application(project.config) as app:
        attempt = app.retrain("tiny", Orders(), quiet)
        assert (attempt["outcome"], attempt["place"], attempt["version"]) == ("promote", "champion", 2), attempt
    return project


@pytest.fixture
def flag(promoted: Project) -> Iterator[Path]:
    flag = promoted.folder.parent / "flag"
    yield flag
    flag.unlink(missing_ok=True)


@pytest.fixture
def project(promoted: Project, tmp_path: Path) -> Project:
    shutil.copytree(promoted.folder, tmp_path / "project")
    return Project(tmp_path / "project", batches=promoted.batches)


def ended(app: Application) -> list[dict[str, object]]:
    return app.store.events("tiny", event="trial_ended")


def test_one_that_fails_is_rolled_back_with_its_second_labelled_window_bit_for_bit(project, flag):
    with open_application(project.config) as app:
        before = kept(app, 1)
        for _ in range(2):
            project.add_batch()
        app.once()
        flag.touch()
        deployed = []
        for _ in range(3):  # two windows; the labels of the second come with the third batch
            project.add_batch()
            app.once()
            deployed.append(app.store.alias("tiny", Alias.CHAMPION))
        assert deployed == [2, 2, 1]
        assert kept(app, 1) == before
        project.add_batch()
        app.once()
        assert kept(app, 1) != before, "its detector goes on"
        (event,) = ended(app)
        assert (event["finding"], event["version"], event["champion"]) == ("failed", 2, 1)
        assert app.store.events("tiny", event="rolled_back")[0]["reason"].startswith("version 2 failed: loss ")
        records = app.store.records("tiny")
        assert [record["model_version"] for record in records[-4:]] == [2, 2, 2, 1]
        assert any("failed" in note for note in records[-2]["notes"])


def test_a_process_that_dies_before_it_acts_acts_at_its_next_start(project, flag):
    flag.touch()
    for _ in range(2):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
    project.add_batch()

    def crash(_: object) -> None:
        raise Crash

    with open_application(project.config) as app, pytest.raises(Crash):
        app.once(None, Listener(record=crash))
    with open_application(project.config) as app:
        assert app.store.alias("tiny", Alias.CHAMPION) == 2
        assert app.once() == []
        assert app.store.alias("tiny", Alias.CHAMPION) == 1
        assert len(ended(app)) == 1


def test_one_that_holds_stays_and_is_told_so(project):
    for _ in range(8):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
        assert app.store.alias("tiny", Alias.CHAMPION) == 2
        (event,) = ended(app)
        assert event["finding"] in ("no_difference", "helped")
        assert event["windows"] == 6


def test_a_promotion_by_hand_ends_the_watch_of_the_one_before(project):
    with open_application(project.config) as app:
        app.promote("tiny", 1, "by hand")
        for _ in range(3):
            project.add_batch()
        app.once()
        assert ended(app) == []


def rows_of(app: Application, batch: str) -> pa.Table:
    return app.runtime("tiny").collected.read(batch)


APPROVE = {**BY_HAND, "retrain": {**BY_HAND["retrain"], "mode": "approve"}}
SHADOW = {**BY_HAND, "retrain": {**BY_HAND["retrain"], "mode": "shadow", "shadow_batches": 3}}


@pytest.fixture(scope="module")
def quiet_one(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Four batches scored by version 1."""
    project = Project.create(tmp_path_factory.mktemp("quiet") / "project", changes=BY_HAND)
    for _ in range(4):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
    return project


def copied(lived: Project, folder: Path, changes: dict[str, Any]) -> Project:
    shutil.copytree(lived.folder, folder / "project")
    project = Project(folder / "project", batches=lived.batches)
    project.configure(changes)
    return project


def test_a_candidate_waits_for_a_person_and_is_superseded_by_the_next_one(quiet_one, tmp_path):
    project = copied(quiet_one, tmp_path, APPROVE)
    with open_application(project.config) as app:
        app.retrain("tiny", Orders(), quiet)
        assert [app.store.alias("tiny", alias) for alias in (Alias.CHAMPION, Alias.CANDIDATE)] == [1, 2]
        project.add_batch()
        app.once()
        assert app.store.records("tiny")[-1]["model_version"] == 1
        assert app.retrain("tiny", Orders(), quiet)["place"] == "waiting"
        assert app.store.alias("tiny", Alias.CANDIDATE) == 3
        assert [event["superseded"] for event in app.store.events("tiny", event="candidate")] == [None, 2]
        app.promote("tiny", 3, "looks good")
        assert [app.store.alias("tiny", alias) for alias in (Alias.CHAMPION, Alias.CANDIDATE)] == [3, None]
        for _ in range(7):
            project.add_batch()
        app.once()
        (event,) = ended(app)
        assert (event["role"], event["version"], event["other"]) == ("predecessor", 3, 1)


def test_a_candidate_in_shadow_is_scored_beside_the_champion_and_promoted_by_its_windows(quiet_one, tmp_path):
    """Two processes, one after the other: the trial goes on where it was."""
    project = copied(quiet_one, tmp_path, SHADOW)
    with open_application(project.config) as app:
        assert app.retrain("tiny", Orders(), quiet)["place"] == "shadow"
        names = [project.add_batch(), project.add_batch()]
        app.once()
        assert app.store.alias("tiny", Alias.CHAMPION) == 1
    with open_application(project.config) as app:
        names += [project.add_batch(), project.add_batch()]
        app.once()
        for name in names:
            assert app.store.record("tiny", name)["model_version"] == 1
            assert {"score:UP", "beside:UP"} <= set(rows_of(app, name).column_names)
        (event,) = ended(app)
        assert (event["role"], event["finding"], event["version"], event["windows"]) == ("candidate", "promoted", 2, 3)
        assert [app.store.alias("tiny", alias) for alias in (Alias.CHAMPION, Alias.CANDIDATE)] == [2, None]
        assert app.store.state("tiny", "trial"), "on watch now"


def test_without_room_on_the_disk_no_attempt_is_made(quiet_one, tmp_path):
    project = copied(quiet_one, tmp_path, {**BY_HAND, "retrain": {**BY_HAND["retrain"], "disk": "900000GiB"}})
    with open_application(project.config) as app:
        attempt = app.retrain("tiny", Orders(), quiet)
        assert attempt["outcome"] == "failed"
        assert "retrain.disk" in attempt["reason"]
        assert app.store.alias("tiny", Alias.CHAMPION) == 1

"""A relation that turns round, and back: the model of before comes back as a version of its own, and can be undone."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from monitor.app.earlier import in_force
from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.domain.version import Alias, AliasMove
from tests.app.test_watch_after_promotion import quiet
from tests.support.project import START, Project

BY_HAND = {
    "retrain": {
        "min_labels": 100, "when": {"new_labels": 1000.0, "change": False, "distance": False}, "watch": 0,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Version 2 has learnt the turned relation from six batches; then three batches of the relation of before."""
    project = Project.create(tmp_path_factory.mktemp("turned") / "project", changes=BY_HAND)
    with open_application(project.config) as app:
        feed(project, app, 7, flipped=True)  # the last one's labels are not due yet
        assert retrain(app)["version"] == 2
        feed(project, app, 4)
    return project


@pytest.fixture
def project(turned: Project, tmp_path: Path) -> Project:
    shutil.copytree(turned.folder, tmp_path / "project")
    return Project(tmp_path / "project", rng=turned.rng, batches=turned.batches)


def feed(project: Project, app: Application, batches: int, **how: bool) -> None:
    for _ in range(batches):
        project.add_batch(**how)
    app.once()


def retrain(app: Application, orders: Orders | None = None) -> dict[str, object]:
    return dict(app.retrain("tiny", orders or Orders(), quiet))


def weights(app: Application, version: int) -> str:
    folder = app.runtime("tiny").artefacts.folder(version)
    return hashlib.sha256((folder / "weights" / "model.json").read_bytes()).hexdigest()


def test_the_model_of_before_comes_back_as_a_new_version_and_scores(project):
    with open_application(project.config) as app:
        attempt = retrain(app)
        assert (attempt["outcome"], attempt["chosen"], attempt["version"]) == ("promote", "version 1", 3), attempt
        assert app.store.alias("tiny", Alias.CHAMPION) == 3
        assert weights(app, 3) == weights(app, 1) != weights(app, 2)
        first, back = app.store.manifest("tiny", 1), app.store.manifest("tiny", 3)
        assert (back.origin, back.same_model_as, back.parent) == ("returned", 1, 2)
        assert (back.lineage.batches, back.lineage.rows) == (first.lineage.batches, first.lineage.rows)
        assert back.lineage.chosen_on and set(back.lineage.chosen_on).isdisjoint(first.lineage.batches)
        assert back.metrics["accuracy"] > 0.8
        feed(project, app, 1)
        assert app.store.records("tiny")[-1]["model_version"] == 3


def test_going_back_from_it_goes_to_the_version_before(project):
    with open_application(project.config) as app:
        assert retrain(app)["version"] == 3
        app.rollback("tiny", "by hand")
        assert app.store.alias("tiny", Alias.CHAMPION) == 2
        assert retrain(app)["chosen"] == "version 1"  # version 3, which was taken back, is the same model


def test_each_model_is_asked_once_and_the_champions_own_not_at_all(project):
    with open_application(project.config) as app:
        assert retrain(app)["version"] == 3
        feed(project, app, 4, flipped=True)
        attempt = retrain(app, Orders(mode="dry_run"))
        assert attempt["chosen"] == "version 2"
        assert {name for name in attempt["losses"] if name.startswith("version")} == {"version 2"}


@pytest.mark.parametrize("how", ["off", "named candidates", "damaged"])
def test_none_is_asked(project, how):
    if how == "off":
        project.configure({"retrain": {**BY_HAND["retrain"], "earlier": 0}})
    with open_application(project.config) as app:
        if how == "damaged":
            (app.runtime("tiny").artefacts.folder(1) / "weights" / "model.json").write_text("{}")
        attempt = retrain(app, Orders(candidates=("all",)) if how == "named candidates" else None)
        assert attempt["returning"] is None
        assert not [name for name in attempt["losses"] if name.startswith("version")]


def moves(*versions: int) -> list[AliasMove]:
    before = (None, *versions)
    return [
        AliasMove(alias=Alias.CHAMPION, version=version, previous=previous, at=START, reason="")
        for version, previous in zip(versions, before, strict=False)
    ]


def test_what_was_taken_back_is_in_force_no_more():
    assert in_force(moves(1, 2, 3)) == [1, 2, 3]
    assert in_force(moves(1, 2, 1, 3)) == [1, 3]
    assert in_force(moves(1, 2, 3, 2, 1)) == [1]
    assert in_force([]) == []

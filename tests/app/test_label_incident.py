"""Labels that belong to other rows: held at once, never trained on, and somebody is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.app.doubtful_labels import doubtful_labels
from monitor.app.label_memory import LabelMemory
from monitor.app.retrain_model import Orders
from monitor.app.status import deployment_status
from monitor.bootstrap import Application, open_application
from monitor.domain.label_trust import Standing
from monitor.errors import ConfigError
from tests.support.project import Project

GOOD, WRONG = 5, 3
SETTINGS = {
    "retrain": {"min_labels": 100, "min_batches": 1, "cooldown": 1, "max_per_week": 1000, "when": {"new_labels": 0.3}},
    "labels": {"hold": 4},
}


def deliver(project: Project, *, wrong: bool) -> str:
    """The next batch; when its labels are wrong, each row has that of the row after it."""
    name = project.add_batch()
    if wrong:
        spoil(project, name)
    return name


def spoil(project: Project, name: str) -> None:
    file = project.labels / f"{name}.parquet"
    rows = pq.read_table(file)
    turned = pa.chunked_array([rows["y"].slice(1).combine_chunks(), rows["y"].slice(0, 1).combine_chunks()])
    project.write(file, rows.set_column(1, "y", turned))


def standing(app: Application) -> dict[str, str]:
    return {d.batch: d.standing.value for d in doubtful_labels(app.store, "tiny")}


def trained_on(app: Application) -> set[str]:
    return {batch for manifest in app.store.manifests("tiny") for batch in manifest.lineage.batches}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Good labels, then wrong ones, and one batch more, so that all of them have come."""
    project = Project.create(tmp_path_factory.mktemp("incident") / "project", changes=SETTINGS)
    for k in range(GOOD + WRONG):
        deliver(project, wrong=k >= GOOD)
    deliver(project, wrong=False)
    with open_application(project.config) as app:
        app.once()
    return project


@pytest.fixture
def copy(lived: Project, tmp_path: Path) -> Project:
    shutil.copytree(lived.folder, tmp_path / "project")
    return Project(tmp_path / "project", batches=lived.batches)


HELD = [f"batch_{k:03d}" for k in range(GOOD, GOOD + WRONG)]


def test_wrong_labels_are_held_and_nothing_is_trained_on_them(lived):
    with open_application(lived.config) as app:
        assert standing(app) == dict.fromkeys(HELD, "held")
        assert len(app.store.manifests("tiny")) > 1, "there were promotions to spoil"
        assert not trained_on(app) & set(HELD)
        events = app.store.events("tiny", event="labels_held")
        assert [(e["batch"], e["by"]) for e in events] == [(batch, "monitor") for batch in HELD]


def test_somebody_is_asked(lived):
    with open_application(lived.config) as app:
        last = app.store.records("tiny")[-1]
        status = deployment_status(app.store, app.deployments["tiny"], app.runtime("tiny").clock())
    assert last["decision"] in ("ask_labels", "retrain")
    assert (status.labels.held_windows, status.labels.held_rows) == (WRONG, WRONG * lived.batch_rows)
    assert status.performance.batch not in HELD, "what is shown is what nobody doubts"


def test_held_windows_say_what_their_labels_say_and_raise_no_alarm(lived):
    with open_application(lived.config) as app:
        for batch in HELD:
            record = app.store.record("tiny", batch)
            assert record is not None
            assert record["performance"]["labels"] == "held"
            assert record["performance"]["realised"] < 0.65
            assert record["performance"]["matured"]
            verdict = record["verdicts"]["performance"]
            assert (verdict["verdict"], verdict["judged"]) == ("insufficient_data", None)
            assert "labels held" in verdict["reason"]


def test_released_labels_are_judged_and_trained_on(copy):
    with open_application(copy.config) as app:
        released = app.release_labels("tiny", [], "the relation has changed")
        assert [d.batch for d in released] == HELD
        assert set(standing(app).values()) == {"released"}
        for batch in HELD:
            record = app.store.record("tiny", batch)
            assert record is not None
            assert record["performance"]["labels"] == "released"
        judged = app.store.record("tiny", HELD[-1])
        assert judged is not None
        assert judged["verdicts"]["performance"]["judged"] is not None
        (event, *_) = app.store.events("tiny", event="labels_released")
        assert (event["by"], event["reason"]) == ("operator", "the relation has changed")
        for _ in range(3):
            deliver(copy, wrong=False)
        app.once()
        assert app.retrain("tiny", Orders(), lambda share, what: None)["rows"] > 0
        labels = LabelMemory.load(app.store, "tiny")
        assert set(HELD) <= set(labels.usable(app.runtime("tiny").book.labelled_rows()))


def test_what_may_be_learnt_from_is_counted_without_what_is_held(lived):
    with open_application(lived.config) as app:
        runtime, labels = app.runtime("tiny"), LabelMemory.load(app.store, "tiny")
        with runtime.working():
            usable = labels.usable(runtime.book.labelled_rows())
            assert labels.count_usable(runtime.book) == (sum(usable.values()), len(usable))
        assert usable and not usable.keys() & set(HELD)


def test_rejected_labels_are_taken_back_and_right_ones_may_follow(copy):
    with open_application(copy.config) as app:
        before = app.store.record("tiny", HELD[1])
        app.reject_labels("tiny", HELD[:2], "joined to the wrong rows")
        assert standing(app) == {HELD[0]: "rejected", HELD[1]: "rejected", HELD[2]: "held"}
        record = app.store.record("tiny", HELD[1])
        assert record is not None
        assert (record["performance"]["realised"], record["performance"]["labels"]) == (None, "rejected")
        wrong = pq.read_table(copy.labels / f"{HELD[1]}.parquet")
        right = pa.concat_tables([wrong.slice(wrong.num_rows - 1), wrong.slice(0, wrong.num_rows - 1)])["y"]
        copy.write(copy.labels / "again.parquet", wrong.set_column(1, "y", right))
        app.once()
        assert standing(app) == {HELD[0]: "rejected", HELD[2]: "held"}
        after = app.store.record("tiny", HELD[1])
        assert before is not None
        assert after is not None
        assert after["performance"]["realised"] > before["performance"]["realised"] + 0.2
        assert (
            after["verdicts"]["performance"]["judged"] is not None
            or "no longer" in (after["verdicts"]["performance"]["reason"])
        )


def test_only_what_can_be_decided_about_is_taken(copy):
    with open_application(copy.config) as app:
        with pytest.raises(ConfigError, match="not held; held are batch_005, batch_006, batch_007"):
            app.release_labels("tiny", ["batch_001"], "")
        with pytest.raises(ConfigError, match="has no labels"):
            app.reject_labels("tiny", ["batch_999"], "")
        (rejected,) = app.reject_labels("tiny", ["batch_001"], "known to be wrong")
        assert (rejected.batch, rejected.standing, rejected.skill) == ("batch_001", Standing.REJECTED, None)
        assert [d.batch for d in app.reject_labels("tiny", [], "all of them")] == HELD
        assert app.reject_labels("tiny", [], "again") == app.release_labels("tiny", [], "none is held") == ()


def test_a_change_that_lasts_is_believed_after_a_while(copy):
    """A fourth wrong window in place of the good one would have been enough; here four more are."""
    with open_application(copy.config) as app:
        for _ in range(4):
            deliver(copy, wrong=True)
        deliver(copy, wrong=False)
        app.once()
        found = standing(app)
        later = [f"batch_{k:03d}" for k in range(GOOD + WRONG + 1, GOOD + WRONG + 5)]
        assert [found[batch] for batch in later] == ["released"] * 4
        assert [found[batch] for batch in HELD] == ["held"] * WRONG, "a good window came between"
        events = [e for e in app.store.events("tiny", event="labels_released") if e["batch"] == later[0]]
        assert [(e["by"], e["reason"]) for e in events] == [("monitor", "it has lasted for 4 windows")]


def test_without_holding_wrong_labels_are_trained_on(tmp_path):
    """What the rest of this file is about would otherwise be a test that cannot fail."""
    project = Project.create(tmp_path, changes={**SETTINGS, "labels": {"hold": 0}})
    for k in range(GOOD + WRONG + 2):
        deliver(project, wrong=GOOD <= k < GOOD + WRONG)
    with open_application(project.config) as app:
        app.once()
        assert standing(app) == {}
        rt = app.runtime("tiny")
        assert set(HELD) <= set(LabelMemory.load(app.store, "tiny").usable(rt.book.labelled_rows()))

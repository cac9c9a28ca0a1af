"""The default rule at work: quiet while nothing changes, one alarm for a change that lasts, and nothing forgotten."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.bootstrap import Application, open_application
from monitor.domain.version import Alias
from tests.support.project import HOUR, START, Project

QUIET, SHIFTED = 40, 6
CHANNELS = ("inputs", "predictions", "labels", "performance")
OFF = {"retrain": {"mode": "off"}, "detect": {"false_alarms": "1 per 365 batches"}}
SHIFT = {"shift": 0.8}


def plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "seconds"}


def records(app: Application) -> list[dict[str, Any]]:
    return [plain(record) for record in app.store.records("tiny")]


def states(app: Application, version: int = 1) -> dict[str, bytes | None]:
    keys = ["watched", f"detector:{version}", *(f"detector:{version}:{channel}" for channel in CHANNELS)]
    return {key: app.store.state("tiny", key) for key in keys}


def next_inputs(app: Application, project: Project, **how: Any) -> dict[str, Any]:
    """Deliver and judge one more batch; its verdict on the inputs."""
    name = project.add_batch(**how)
    assert [record.batch for record in app.once()] == [name]
    record = app.store.record("tiny", name)
    assert record is not None
    inputs: dict[str, Any] = record["verdicts"]["inputs"]
    return inputs


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Forty quiet batches, then six in which `a` is 0.8 standard deviations higher; judged as one backlog."""
    project = Project.create(tmp_path_factory.mktemp("lived") / "project", changes=OFF)
    for k in range(QUIET + SHIFTED):
        project.add_batch(**(SHIFT if k >= QUIET else {}))
    with open_application(project.config) as app:
        app.once()
    return project


@pytest.fixture
def copy(lived: Project, tmp_path: Path) -> Project:
    """What was lived, to go on from."""
    shutil.copytree(lived.folder, tmp_path / "project")
    return Project(tmp_path / "project", batches=lived.batches)


def test_nothing_is_raised_while_nothing_changes(lived):
    with open_application(lived.config) as app:
        quiet = records(app)[:QUIET]
    assert len(quiet) == QUIET
    for record in quiet:
        for channel in CHANNELS:
            verdict = record["verdicts"][channel]
            assert verdict["verdict"] in ("ok", "insufficient_data"), (record["batch"], channel)
            assert not verdict["raised"]
            assert verdict["columns"] == []
    judged = [record["verdicts"]["inputs"]["judged"] for record in quiet if record["verdicts"]["inputs"]["judged"]]
    assert judged[-1] == len(judged) > QUIET - 15  # it may learn first, and then judges every batch
    assert quiet[-1]["verdicts"]["inputs"]["threshold"] == 365


def test_a_lasting_shift_is_one_alarm_that_names_the_column_and_when_it_began(lived):
    with open_application(lived.config) as app:
        shifted = [record["verdicts"]["inputs"] for record in records(app)[QUIET:]]
    raised = [k for k, verdict in enumerate(shifted) if verdict["raised"]]
    assert len(raised) == 1
    assert [verdict["verdict"] for verdict in shifted] == ["ok"] * raised[0] + ["drift"] * (SHIFTED - raised[0])
    for verdict in shifted[raised[0] :]:
        (column,) = verdict["columns"]
        assert (column["name"], column["measure"]) == ("a", "location")
        assert 0.03 < column["low"] < column["shift"] < column["high"]
        assert abs(datetime.fromisoformat(column["since"]) - (START + QUIET * HOUR)) <= 3 * HOUR
        assert verdict["alarms"] == 1
    assert shifted[-1]["judged"] == shifted[0]["judged"] + SHIFTED - 1


def test_a_process_for_every_batch_ends_as_one_that_never_stopped(lived, tmp_path):
    """From the batch before the shift to after the alarm, each judged by an application of its own."""
    project = Project(tmp_path / "project")
    later = [f"batch_{k:03d}.parquet" for k in range(QUIET - 1, QUIET + SHIFTED)]
    for part in ("incoming", "labels", "models", "config"):
        shutil.copytree(lived.folder / part, project.folder / part, ignore=lambda _, names: set(later) & set(names))
    shutil.copy(lived.folder / "training.parquet", project.folder)
    for name in later[:4]:
        for part in ("labels", "incoming"):
            shutil.copy(lived.folder / part / name, project.folder / part)
        with open_application(project.config) as app:
            assert len(app.once()) in (1, QUIET)
    for name in later[4:]:
        for part in ("labels", "incoming"):
            shutil.copy(lived.folder / part / name, project.folder / part)
    with open_application(project.config) as app, open_application(lived.config) as other:
        app.once()
        assert records(app) == records(other)
        assert states(app) == states(other)
        assert all(states(app).values())


def test_going_back_brings_the_alarm_back_with_its_version(copy):
    with open_application(copy.config) as app:
        before = states(app)
        weights = app.runtime("tiny").artefacts.folder(1) / "weights"
        assert app.add_model("tiny", weights, code=None, held_out=None).version == 2
        app.promote("tiny", 2, "a try")
        assert not next_inputs(app, copy, **SHIFT)["raised"]
        app.rollback("tiny", "worse")
        assert app.store.alias("tiny", Alias.CHAMPION) == 1
        after = states(app)
        assert {k: v for k, v in after.items() if k != "watched"} == {k: v for k, v in before.items() if k != "watched"}
        inputs = next_inputs(app, copy, **SHIFT)
        assert (inputs["verdict"], inputs["raised"], [c["name"] for c in inputs["columns"]]) == ("drift", False, ["a"])
        assert inputs["alarms"] == 1, "counted once, whatever was promoted in between"


def test_another_budget_goes_on_with_what_was_learnt(copy):
    copy.configure({**OFF, "detect": {"false_alarms": "1 per 1000 batches"}})
    with open_application(copy.config) as app:
        before = app.store.records("tiny")[-1]["verdicts"]["inputs"]
        inputs = next_inputs(app, copy, **SHIFT)
    assert (inputs["verdict"], inputs["raised"], inputs["threshold"]) == ("drift", False, 1000)
    assert inputs["columns"] == before["columns"]
    assert (inputs["alarms"], inputs["judged"]) == (1, before["judged"] + 1)


def test_another_season_starts_over(copy):
    copy.configure({**OFF, "detect": {**OFF["detect"], "season": "weekday"}})
    with open_application(copy.config) as app:
        inputs = next_inputs(app, copy, **SHIFT)
        assert inputs["verdict"] in ("ok", "insufficient_data")
        assert (inputs["columns"], inputs["raised"]) == ([], False)
        assert inputs["alarms"] in (1, None), "what was raised before stays counted"


DISTANT = {
    "retrain": {"mode": "dry_run", "min_labels": 100, "min_batches": 1, "cooldown": 1, "max_per_week": 1000,
                "when": {"new_labels": 1.4}},
    "detect": {"channels": {"performance": "alert"}},
    "gate": {"kind": "off"},
}  # fmt: skip


def attempts(app: Application) -> list[str]:
    return [event["trigger"] for event in app.store.events("tiny", event="attempt")]


def test_distance_brings_forward_one_attempt_until_a_promotion(tmp_path):
    """Dry runs promote nothing: the second attempt waits for all of its labels and more, far as the features are."""
    project = Project.create(tmp_path / "project", changes=DISTANT)
    for _ in range(22):  # what the first attempt lacked, the second waits for
        project.add_batch(shift=1.5)
    with open_application(project.config) as app:
        app.once()
        assert attempts(app) == ["distance", "new_labels"]
        told = [record["decision_reason"] for record in records(app) if record["decision"] == "retrain"]
        assert told[0].endswith("too far from the reference")
        assert told[1].endswith("new labelled rows")
    project.configure({**DISTANT, "retrain": {**DISTANT["retrain"], "mode": "auto"}})
    for _ in range(11):
        project.add_batch(shift=1.5)
    with open_application(project.config) as app:
        app.once()
        assert attempts(app) == ["distance", "new_labels", "new_labels"]
        assert app.store.alias("tiny", Alias.CHAMPION) == 2
        for _ in range(9):
            project.add_batch(shift=4.0)
        app.once()
        assert attempts(app)[3] == "distance"


def test_columns_have_limits_of_their_own_and_measures_are_chosen(tmp_path):
    columns = {"*": {"max_distance": 0.5}, "a": {"watch": False}}
    detect = {**OFF["detect"], "columns": columns, "measures": ["ks", "chi2", "psi"], "export": ["chi2", "psi"]}
    project = Project.create(tmp_path, changes={**OFF, "detect": detect})
    for k in range(QUIET // 2):
        project.add_batch(**({"shift": 3.0} if k >= QUIET // 4 else {}))
    with open_application(project.config) as app:
        app.once()
        for record in records(app):
            inputs = record["verdicts"]["inputs"]
            assert inputs["columns"] == inputs["beyond"] == []
            measures = app.measures("tiny", record["batch"])
            found = {(m["column"], m["measure"]) for m in measures}
            assert {("a", "ks"), ("b", "ks"), ("colour", "chi2")} <= found
            assert {measure for _, measure in found} == {"ks", "chi2", "psi"}
            stored = app.store.measures("tiny", record["batch"])
            assert stored == [m for m in measures if m["measure"] != "ks"], "taken in the pass, and of the rows later"
        assert records(app)[-1]["verdicts"]["predictions"]["verdict"] == "drift"  # what is predicted stays watched

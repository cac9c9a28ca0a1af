"""An alarm stands from batch to batch until somebody says that they have seen it, and does not come again for that."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.bootstrap import open_application
from monitor.cli.main import main
from tests.cli.conftest import Monitor
from tests.support.project import Project

CHANGES = {"detect": {"false_alarms": "1 per 20 batches"}, "retrain": {"mode": "off"}}
SHIFT = 1.5


@pytest.fixture(scope="module")
def alarmed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Twelve quiet batches, then eight with column `a` moved, the last without labels: alarms stand."""
    project = Project.create(tmp_path_factory.mktemp("alarmed") / "project", changes=CHANGES)
    for k in range(20):
        project.add_batch(shift=SHIFT if k >= 12 else 0.0, labels=k < 19)
    assert main(["-c", str(project.config), "once", "--json"]) == 0
    return project


@pytest.fixture
def copy(alarmed: Project, tmp_path: Path) -> Project:
    shutil.copytree(alarmed.folder, tmp_path / "copy")
    return Project(tmp_path / "copy", batches=alarmed.batches)


def newest(monitor: Monitor, project: Project, n: int = 1):
    return monitor("-c", project.config, "history", "--json", "-n", n).lines


def journal(project: Project):
    with open_application(project.config) as app:
        return app.store.events("tiny", event="acknowledged")


def test_the_alarm_closes_and_the_same_level_raises_none(monitor: Monitor, copy: Project):
    (before,) = newest(monitor, copy)
    assert before["verdicts"]["inputs"]["verdict"] == "drift"
    said = monitor("-c", copy.config, "acknowledge", "--channel", "inputs", "--reason", "new scanner", "--json")
    assert said.code == 0, said.err
    (closed,) = said.json["closed"]
    assert (closed["channel"], closed["batch"], closed["columns"]) == ("inputs", "batch_019", ["a"])
    (event,) = journal(copy)
    assert (event["channel"], event["reason"], event["version"]) == ("inputs", "new scanner", 1)
    assert "acknowledged: ok from the next batch on" in monitor("-c", copy.config, "status").out
    for _ in range(8):
        copy.add_batch(shift=SHIFT)
    assert monitor("-c", copy.config, "once", "--json").code == 0
    after = newest(monitor, copy, 8)
    assert [r["verdicts"]["inputs"]["verdict"] for r in after] == ["ok"] * 8
    assert {r["verdicts"]["inputs"]["alarms"] for r in after} == {before["verdicts"]["inputs"]["alarms"]}
    assert "acknowledged" not in monitor("-c", copy.config, "status").out


def test_status_says_what_the_detector_knows(monitor: Monitor, alarmed: Project):
    said = " ".join(monitor("-c", alarmed.config, "status").out.split())
    (record,) = newest(monitor, alarmed)
    inputs, performance = (record["verdicts"][channel] for channel in ("inputs", "performance"))
    assert f"inputs drift evidence {inputs['evidence']:,.0f} of 20 (a) far from training: a" in said
    assert performance["judged"] is None
    assert re.search(r"performance (ok|drift) evidence [\d.,]+ of 20.* on batch_018", said)
    assert re.search(
        r"inputs 1, predictions 1, labels 1, performance \d \(of 19\) in 20 judged batches; "
        r"promised without cause: at most 1 per 20 batches and channel",
        said,
    )
    status = monitor("-c", alarmed.config, "status", "--json").json[0]
    shown = status["last"]["channels"]["inputs"]
    assert (shown["evidence"], shown["threshold"]) == (inputs["evidence"], 20.0)
    assert (shown["beyond"], shown["alarms"], shown["judged"]) == (["a"], 1, 20)
    assert status["last"]["channels"]["performance"]["batch"] == "batch_018"
    assert status["false_alarms"] == "1 per 20 batches"


def test_another_change_after_it_raises_again(monitor: Monitor, copy: Project):
    monitor("-c", copy.config, "acknowledge")
    for _ in range(8):
        copy.add_batch(shift=-SHIFT)
    assert monitor("-c", copy.config, "once", "--fail-on-drift", "--json").code == 1
    assert newest(monitor, copy)[0]["verdicts"]["inputs"]["verdict"] == "drift"


def test_without_a_channel_every_standing_alarm_is_closed_and_then_nothing_is_open(monitor: Monitor, copy: Project):
    channels = monitor("-c", copy.config, "status", "--json").json[0]["last"]["channels"]
    drifting = [channel for channel, seen in channels.items() if seen["verdict"] == "drift"]
    assert len(drifting) > 1
    said = monitor("-c", copy.config, "acknowledge", "tiny")
    assert said.code == 0, said.err
    for channel in drifting:
        assert f"tiny: the alarm on {channel} is closed (" in said.out
    assert [event["channel"] for event in journal(copy)] == drifting
    assert {event["reason"] for event in journal(copy)} == {"by hand"}
    again = monitor("-c", copy.config, "acknowledge", "--channel", "inputs")
    assert (again.code, again.out) == (0, "tiny: no alarm is open on inputs; nothing was changed\n")
    assert monitor("-c", copy.config, "acknowledge", "--json").json["closed"] == []
    assert len(journal(copy)) == len(drifting)


def test_it_waits_for_a_daemon_that_is_at_work_on_the_deployment(monitor: Monitor, copy: Project):
    now = datetime.now(UTC)
    until = now + timedelta(seconds=2)
    with open_application(copy.config) as app:
        assert app.store.acquire_lease("deployment:tiny", owner="a daemon", now=now, until=until) is None
    assert monitor("-c", copy.config, "acknowledge", "--channel", "inputs").code == 0
    assert datetime.now(UTC) >= until
    assert [event["channel"] for event in journal(copy)] == ["inputs"]


def test_an_alarm_below_the_floor_is_closed_until_the_next_window_below_it(monitor: Monitor, copy: Project):
    copy.configure({**CHANGES, "performance": {"metric": "accuracy", "floor": 0.99}})
    for _ in range(3):
        copy.add_batch(shift=SHIFT)
    assert monitor("-c", copy.config, "once", "--json").code == 0
    closed = monitor("-c", copy.config, "acknowledge", "--channel", "performance", "--json").json["closed"]
    assert [one["channel"] for one in closed] == ["performance"]
    assert "worse than the floor" in closed[0]["alarm"]
    copy.add_batch(shift=SHIFT)
    assert monitor("-c", copy.config, "once", "--json").code == 0
    assert [one["channel"] for one in monitor("-c", copy.config, "acknowledge", "--json").json["closed"]][-1:] == [
        "performance"
    ]


def test_under_per_batch_there_is_nothing_to_acknowledge_but_a_standard(
    monitor: Monitor, lived: Project, tmp_path: Path
):
    copy = shutil.copytree(lived.folder, tmp_path / "copy")
    said = monitor("-c", copy / "config", "acknowledge", "--json")
    assert [one["channel"] for one in said.json["closed"]] == ["performance"]
    assert "had promised" in said.json["closed"][0]["alarm"]
    for channel in ([], ["--channel", "inputs"]):
        refused = monitor("-c", copy / "config", "acknowledge", *channel)
        assert refused.code == 2
        assert "closes by itself" in refused.err


def test_before_the_first_model_and_for_an_unknown_channel(monitor: Monitor, fresh: Project):
    said = monitor("-c", fresh.config, "acknowledge")
    assert said.code == 2
    assert "no model yet" in said.err
    assert monitor("-c", fresh.config, "acknowledge", "--channel", "weather").code == 2

"""A configuration that cannot be used ends the command with exit code 2, a message, and nothing touched."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from monitor.bootstrap import open_application
from monitor.errors import ConfigError
from tests.support.project import Project

MISTAKES = {
    "unknown section": ({"retrane": {}}, "unknown key 'retrane'; did you mean 'retrain'?"),
    "unknown key": ({"retrain": {"cooldwon": 3}}, "unknown key 'retrain.cooldwon'; did you mean 'cooldown'?"),
    "deep unknown key": (
        {"retrain": {"when": {"new_label": 0.1}}},
        "unknown key 'retrain.when.new_label'; did you mean 'new_labels'?",
    ),
    "metric and label": (
        {"performance": {"metric": "mae"}},
        "performance.metric mae does not fit a binary label",
    ),
    "confidence and another metric": (
        {"performance": {"metric": "f1", "estimate": "atc"}},
        "performance.estimate: `atc` estimates accuracy, not f1",
    ),
    "confidence of scores not served": (
        {"performance": {"estimate": "atc"}, "predictions": {"correct_prior": True}},
        "performance.estimate: `atc` is of the model's own scores, and predictions.correct_prior serves others",
    ),
    "retraining without labels": (
        {"labels": None},
        "retrain.mode is not `off` but there are no `labels` to retrain on",
    ),
    "two schedules": ({"schedule": {"every": "1s", "cron": "* * * * *"}}, "schedule: give either `every` or `cron`"),
    "no unit": ({"model": {"timeout": 5}}, "model.timeout: 5 is not a duration such as 90s, 5m, 2h, 1d"),
    "another name": ({"name": "other"}, "name is 'other', the file says 'tiny'; make them equal"),
}


def monitor(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", "-c", str(project.config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project.create(tmp_path_factory.mktemp("config") / "project")
    project.add_batch()
    return project


@pytest.mark.parametrize("what", MISTAKES)
def test_a_deployment_file_is_refused(project, what):
    changes, message = MISTAKES[what]
    project.configure(changes)
    with pytest.raises(ConfigError, match=re.escape(f"{project.config}/deployments/tiny.yaml: {message}")) as caught:
        open_application(project.config)
    assert caught.value.exit_code == 2
    assert not (project.folder / "var" / "monitor.db").exists()


def test_an_unknown_key_of_the_process(project):
    file = project.config / "monitor.yaml"
    good = file.read_text()
    file.write_text(yaml.safe_dump({"htp": {"bind": "127.0.0.1:0"}}))
    done = monitor(project, "check-config")
    file.write_text(good)
    assert done.returncode == 2
    assert f"{file}: unknown key 'htp'; did you mean 'http'?" in done.stderr


def test_a_changed_schema_is_refused_after_the_first_training_and_nothing_is_lost(tmp_path):
    project = Project.create(tmp_path / "project", changes={"retrain": {"mode": "off"}})
    project.add_batch()
    assert monitor(project, "once").returncode == 0
    project.add_batch()
    project.configure({"schema": {"features": {"a": "numeric", "b": "numeric"}}, "retrain": {"mode": "off"}})
    done = monitor(project, "once")
    assert done.returncode == 2
    assert "tiny: the schema's features or label changed since version 1 was trained" in done.stderr
    project.configure({"retrain": {"mode": "off"}})
    done = monitor(project, "once")
    assert done.returncode == 0
    assert "1 batch judged" in done.stderr

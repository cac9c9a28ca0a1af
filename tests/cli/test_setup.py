"""`init` and `check-config`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from monitor.config.reading import load_deployment
from tests.cli.conftest import Monitor
from tests.support.project import Project


def test_init_writes_a_deployment_that_is_accepted_and_touches_none_that_is_there(
    monitor: Monitor, fresh: Project, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(fresh.folder)
    said = monitor("init", "training.parquet", "--name", "guessed", "--label", "y")
    written = fresh.config / "deployments" / "guessed.yaml"
    assert (said.code, said.out) == (0, f"config/deployments/{written.name}\n")
    assert load_deployment(written).schema_.label.name == "y"
    before = written.read_text()
    again = monitor("init", "training.parquet", "--name", "guessed")
    assert again.code == 2
    assert "exists already" in again.err
    assert written.read_text() == before


def test_init_from_elsewhere_names_the_file_by_its_whole_path(monitor: Monitor, fresh: Project, tmp_path: Path):
    file = fresh.folder / "training.parquet"
    said = monitor("-c", tmp_path / "other" / "config", "init", file, "--label", "y", "--json")
    assert said.code == 0
    deployment = load_deployment(Path(said.json["file"]))
    assert deployment.training is not None
    assert deployment.training.path == str(file)


def test_init_from_elsewhere_names_a_file_of_the_project_as_the_project_does(monitor: Monitor, fresh: Project):
    file = fresh.folder / "training.parquet"
    said = monitor("-c", fresh.config, "init", file, "--name", "moved", "--label", "y", "--json")
    deployment = load_deployment(Path(said.json["file"]))
    assert deployment.training is not None
    assert deployment.training.path == "training.parquet", "so that the folder can be moved"


def test_check_config_says_ok_and_what_is_not_there_yet(monitor: Monitor, fresh: Project):
    said = monitor("-c", fresh.config, "check-config")
    assert (said.code, said.out, said.err) == (0, "tiny: ok\n", "")
    (fresh.folder / "training.parquet").unlink()
    said = monitor("-c", fresh.config, "check-config", "--json")
    assert (said.code, said.json["ok"]) == (0, True)
    assert said.json["warnings"] == [f"tiny: training.path {fresh.folder / 'training.parquet'} is not there"]
    fresh.configure({"retrain": {"candidates": ["mine.py:mine"]}, "gate": {"anchor": {"path": "trusted.parquet"}}})
    warnings = monitor("-c", fresh.config, "check-config", "--json").json["warnings"]
    assert warnings[0] == f"tiny: retrain.candidates: {fresh.folder / 'mine.py'} is not there"
    assert warnings[1] == f"tiny: gate.anchor.path {fresh.folder / 'trusted.parquet'} is not there"


def test_check_config_lists_every_error_of_every_file(monitor: Monitor, fresh: Project):
    folder = fresh.config / "deployments"
    plain = yaml.safe_load((folder / "tiny.yaml").read_text())
    (folder / "a.yaml").write_text(yaml.safe_dump({**plain, "name": "a", "detect": {"alpa": 0.1}, "gate": {"kin": 1}}))
    (folder / "b.yaml").write_text(yaml.safe_dump({**plain, "name": "b", "schedule": {"cron": "never"}}))
    said = monitor("-c", fresh.config, "check-config", "--json")
    assert said.code == 2
    assert said.json["deployments"] == ["tiny"]
    errors = said.json["errors"]
    assert len(errors) == 3
    assert "unknown key 'detect.alpa'; did you mean 'alpha'?" in errors[0]
    assert "unknown key 'gate.kin'; did you mean 'kind'?" in errors[1]
    assert errors[2].startswith(f"{folder / 'b.yaml'}: schedule: ")
    assert not (fresh.folder / "var").exists()  # nothing was opened

"""`init` and `check-config`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import yaml

from monitor.bootstrap import open_application
from monitor.config.reading import load_deployment
from monitor.errors import ConfigError
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


class Silent:
    """A log that nobody reads: commands set up the real one anew, with the streams of their own call."""

    def info(self, event: str, **_: object) -> None: ...
    def warning(self, event: str, **_: object) -> None: ...
    def error(self, event: str, **_: object) -> None: ...


@pytest.fixture
def trained(monitor: Monitor, fresh: Project) -> Project:
    """With a first version, and a second deployment that has none."""
    text = (fresh.config / "deployments" / "tiny.yaml").read_text()
    (fresh.config / "deployments" / "other.yaml").write_text(text.replace("name: tiny", "name: other"))
    assert monitor("-c", fresh.config, "once", "tiny").code == 0
    return fresh


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_check_config_says_what_a_reload_would(monitor: Monitor, trained: Project):
    before = files_of(trained.folder / "var")
    said = monitor("-c", trained.config, "check-config")
    assert (said.code, said.out, said.err) == (0, "other: ok\ntiny: ok\n", "")
    with open_application(trained.config, log=Silent()) as running:
        trained.configure({"schema": {"features": {"a": "numeric", "b": "numeric"}}})
        said = monitor("-c", trained.config, "check-config", "--json")
        with pytest.raises(ConfigError) as refused:
            running.reload()
    assert said.code == 2
    assert said.json["deployments"] == ["other"]
    assert said.json["errors"] == [f"{trained.config / 'deployments' / 'tiny.yaml'}: {refused.value}"]
    assert "the schema's features or label changed since version 1 was trained" in said.json["errors"][0]
    assert files_of(trained.folder / "var").keys() == before.keys(), "nothing was made"


def test_check_config_finds_what_only_the_parts_know(monitor: Monitor, fresh: Project):
    fresh.configure({"batches": {"path": "incoming/{hour}.parquet"}})
    said = monitor("-c", fresh.config, "check-config", "--json")
    assert said.code == 2
    assert said.json["errors"] == [
        f"{fresh.config / 'deployments' / 'tiny.yaml'}: "
        "batches.path: incoming/{hour}.parquet: {hour} needs the larger date parts before it"
    ]


def test_check_config_makes_no_store_and_changes_none(monitor: Monitor, trained: Project, monkeypatch):
    settings = trained.config / "monitor.yaml"
    elsewhere = trained.folder / "nowhere" / "monitor.db"
    settings.write_text(yaml.safe_dump({"store": f"sqlite:///{elsewhere}"}))
    assert monitor("-c", trained.config, "check-config").code == 0
    assert not elsewhere.parent.exists()
    elsewhere.parent.mkdir()
    with sqlite3.connect(elsewhere) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('0000')")
    said = monitor("-c", trained.config, "check-config", "--json")
    assert said.code == 0
    (warning,) = said.json["warnings"]
    assert "the database has schema 0000" in warning
    with sqlite3.connect(elsewhere) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0000",)]
    settings.write_text(yaml.safe_dump({"store": "postgresql://monitor:${NOBODY_KNOWS}@db/monitor"}))
    said = monitor("-c", trained.config, "check-config", "--json")
    assert said.code == 2
    assert said.json["errors"] == [f"{settings}: store: the environment variable NOBODY_KNOWS is not set"]
    monkeypatch.setenv("NOBODY_KNOWS", "s3cret")
    settings.write_text(yaml.safe_dump({"store": "postgresql://monitor:${NOBODY_KNOWS}@127.0.0.1:1/monitor"}))
    said = monitor("-c", trained.config, "check-config", "--json")
    (warning,) = said.json["warnings"]
    assert said.code == 0 and "was not checked" in warning and "s3cret" not in warning

"""`init` and `check-config`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from monitor.bootstrap import open_application
from monitor.config.reading import load_deployment
from monitor.errors import ConfigError
from tests.cli.conftest import Monitor
from tests.support.project import Project, deployment


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
    fresh.labels.rmdir()
    said = monitor("-c", fresh.config, "check-config", "--json")
    assert (said.code, said.json["ok"]) == (0, True)
    assert said.json["warnings"] == ["tiny: the folder of labels.path labels/*.parquet is not there"]
    fresh.configure({"retrain": {"candidates": ["mine.py:mine"]}, "gate": {"anchor": {"path": "trusted.parquet"}}})
    warnings = monitor("-c", fresh.config, "check-config", "--json").json["warnings"]
    assert warnings[0] == f"tiny: retrain.candidates: {fresh.folder / 'mine.py'} is not there"
    assert warnings[1] == (
        f"tiny: gate.anchor.path: {fresh.folder / 'trusted.parquet'}: no such file or folder; create it, or correct "
        "`gate.anchor.path`"
    )
    rows = pq.read_table(fresh.folder / "training.parquet")
    pq.write_table(rows.drop_columns(["y"]), fresh.folder / "trusted.parquet")
    warnings = monitor("-c", fresh.config, "check-config", "--json").json["warnings"]
    assert f"{fresh.folder / 'trusted.parquet'}, column 'y': missing column" in warnings[1]


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


def without(*columns: str) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.drop_columns(list(columns))


def with_column(name: str, values: Callable[[pa.Table], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(rows.schema.get_field_index(name), name, values(rows))


# what: the rows made into something else, or into bytes, or None for no file; then all errors, by a part of each
SPOILT: dict[str, tuple[Any, ...]] = {
    "no file": (lambda rows: None, ": no such file or folder; create it, or correct `training.path`"),
    "no rows": (lambda rows: rows.slice(0, 0), ": no row can be used"),
    "cut off": (lambda rows: b"PAR1" + bytes(40), ": truncated Parquet"),
    "no label": (without("y"), ", column 'y': missing column 'y'"),
    "no features": (without("a", "colour"), ", column 'a': missing column 'a', 'colour'"),
    "a feature and a type": (
        lambda rows: with_column("b", lambda rows: rows.column("at"))(without("a", "y")(rows)),
        ", column 'a': missing column 'a', 'y'",
        ", column 'b': wrong type",
    ),
    "types": (
        lambda rows: with_column("b", lambda rows: rows.column("at"))(
            with_column("at", lambda rows: rows.column("at").cast(pa.timestamp("us")))(rows)
        ),
        ", column 'at': the timestamps have no zone",
        ", column 'b': wrong type",
    ),
    "no labels": (
        with_column("y", lambda rows: pa.nulls(rows.num_rows, pa.string())),
        ": no row can be used; first: column 'y', row 1: ",
    ),
    "other classes": (
        with_column("y", lambda rows: pa.array(["up", "down"] * (rows.num_rows // 2))),
        ", column 'y': no row has the positive class 'UP', only down, up",
    ),
}


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


@pytest.mark.parametrize("what", SPOILT)
def test_check_config_names_all_that_the_first_training_would_fail_on(monitor: Monitor, fresh: Project, what: str):
    spoil, *expected = SPOILT[what]
    file = fresh.folder / "training.parquet"
    content = spoil(pq.read_table(file))
    file.unlink()
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        pq.write_table(content, file)
    said = monitor("-c", fresh.config, "check-config", "--json")
    assert (said.code, said.json["deployments"]) == (2, [])
    errors, where = said.json["errors"], f"{fresh.config / 'deployments' / 'tiny.yaml'}: training.path: {file}"
    assert len(errors) == len(expected), errors
    for error, text in zip(errors, expected, strict=True):
        assert error.startswith(where + text)
    assert monitor("-c", fresh.config, "once").code != 0, "the first pass fails on it, too"


def test_check_config_names_a_place_that_is_no_file_beside_other_errors(monitor: Monitor, fresh: Project):
    def errors() -> list[str]:
        said = monitor("-c", fresh.config, "check-config", "--json")
        assert said.code == 2
        return said.json["errors"]

    where = f"{fresh.config / 'deployments' / 'tiny.yaml'}: training.path: "
    fresh.configure({"batches": {"path": "incoming/{hour}.parquet"}, "training": {"path": "incoming"}})
    assert [error.split(": ")[1] for error in errors()] == ["batches.path", "training.path"]
    assert errors()[1].startswith(f"{where}{fresh.incoming}: cannot be read: ")
    fresh.configure({"training": {"path": "nowhere://training.parquet"}})
    assert errors() == [f"{where}nowhere://training.parquet: Protocol not known: nowhere"]


def test_check_config_reads_a_training_file_that_may_be_trained_on(monitor: Monitor, fresh: Project):
    """Single rows that are refused are no error, nor is one without a column that only batches must have."""
    rows = pq.read_table(fresh.folder / "training.parquet")
    labels = [None, *rows.column("y").to_pylist()[1:]]
    rows = rows.set_column(rows.schema.get_field_index("y"), "y", pa.array(labels))
    pq.write_table(rows.append_column("more", rows.column("a")), fresh.folder / "training.parquet")
    fresh.configure({"schema": {**deployment()["schema"], "control": "held_back"}})
    said = monitor("-c", fresh.config, "check-config")
    assert (said.code, said.out, said.err) == (0, "tiny: ok\n", "")
    assert monitor("-c", fresh.config, "once").code == 0
    assert monitor("-c", fresh.config, "models", "list", "--json").json


def test_check_config_takes_a_training_file_for_a_doubt_once_there_is_a_version(monitor: Monitor, trained: Project):
    file, other = trained.folder / "training.parquet", trained.config / "deployments" / "other.yaml"
    rows = pq.read_table(file)
    pq.write_table(rows.drop_columns(["y"]), file)
    said = monitor("-c", trained.config, "check-config", "--json")
    assert (said.code, said.json["deployments"]) == (2, ["tiny"])
    (error,), (warning,) = said.json["errors"], said.json["warnings"]
    assert error.startswith(f"{other}: training.path: {file}, column 'y': missing column 'y'")
    assert error.removeprefix(f"{other}: ") == warning.removeprefix("tiny: ")


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

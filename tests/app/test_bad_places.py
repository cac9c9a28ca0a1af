"""A folder that is not there, a file that may not be read, a disk that is full: told, waited for, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml

from monitor.bootstrap import open_application
from monitor.domain.batch import DeliveryKind, DeliveryState
from monitor.errors import SourceError, StoreError
from tests.adapters.small_disk import fill, small_disk
from tests.support.project import Project

OFF = {"retrain": {"mode": "off"}}


def settled(project: Project) -> dict[str, float]:
    """Let everything be done, twice; the share of labelled rows of each batch in the history."""
    with open_application(project.config) as app:
        app.once()
        assert app.once() == []
        records = app.store.records("tiny")
        states = {e.state for e in app.store.entries("tiny", DeliveryKind.BATCH)}
    assert states == {DeliveryState.DONE}
    return {r["batch"]: r["performance"]["labels_coverage"] for r in records}


@pytest.mark.parametrize("key", ["batches", "labels"])
def test_a_folder_that_is_not_there(tmp_path, key):
    project = Project.create(tmp_path, changes=OFF)
    folder = project.incoming if key == "batches" else project.labels
    first = project.add_batch()
    with open_application(project.config) as app:
        app.once()
        second = project.add_batch()
        folder.rename(tmp_path / "away")
        with pytest.raises(SourceError) as caught:
            app.once()
        assert str(caught.value) == f"{folder}/: no such file or folder; create it, or correct `{key}.path`"
        assert caught.value.exit_code == 3
        (tmp_path / "away").rename(folder)
        app.once()
    assert settled(project) == {first: 1.0, second: 1.0}


def test_a_training_file_that_is_not_there(tmp_path):
    project = Project.create(tmp_path, changes=OFF)
    name = project.add_batch()
    (tmp_path / "training.parquet").rename(tmp_path / "away.parquet")
    told = r"training\.parquet: no such file or folder.*`training\.path`"
    with open_application(project.config) as app, pytest.raises(SourceError, match=told):
        app.once()
    (tmp_path / "away.parquet").rename(tmp_path / "training.parquet")
    assert settled(project) == {name: 1.0}


def without_privilege(*arguments: str) -> list[str]:
    """The command as a user for whom permissions hold: root is stripped of what lets it read everything."""
    command = [sys.executable, "-m", "monitor", *arguments]
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]


@pytest.mark.parametrize("kind", ["batch", "labels"])
def test_a_file_that_may_not_be_read_does_not_stop_the_others(tmp_path, kind):
    project = Project.create(tmp_path, changes=OFF)
    names = [project.add_batch() for _ in range(3)]
    folder = project.incoming if kind == "batch" else project.labels
    closed = folder / f"{names[1]}.parquet"
    closed.chmod(0)
    command = without_privilege("-c", str(project.config), "--json", "once")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"{closed}: no permission; let the user that runs the monitor read it" in done.stderr
    judged = [json.loads(line)["batch"] for line in done.stdout.splitlines()]
    assert judged == ([names[0], names[2]] if kind == "batch" else names)
    assert done.returncode == 3
    closed.chmod(0o644)
    assert settled(project) == dict.fromkeys(names, 1.0)


def test_a_folder_that_may_not_be_read(tmp_path):
    project = Project.create(tmp_path, changes=OFF)
    name = project.add_batch()
    project.incoming.chmod(0)
    command = without_privilege("-c", str(project.config), "once")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    project.incoming.chmod(0o755)
    assert done.returncode == 3
    assert f"{project.incoming}: no permission; let the user that runs the monitor read it" in done.stderr
    assert settled(project) == {name: 1.0}


def test_without_a_folder_of_labels_batches_are_judged_all_the_same(tmp_path):
    project = Project.create(tmp_path, changes=OFF)
    names = [project.add_batch(labels=False) for _ in range(2)]
    project.labels.rmdir()
    with open_application(project.config) as app:
        with pytest.raises(SourceError, match=r"labels.*no such file or folder; create it, or correct `labels.path`"):
            app.once()
        assert [record["batch"] for record in app.store.records("tiny")] == names


def test_a_full_disk(tmp_path):
    project = Project.create(tmp_path / "project", changes=OFF)
    with small_disk(tmp_path / "disk", 8192) as disk:
        settings = {"data": str(disk / "var"), "http": {"bind": "127.0.0.1:0"}}
        (project.config / "monitor.yaml").write_text(yaml.safe_dump(settings))
        names = [project.add_batch()]
        with open_application(project.config) as app:
            app.once()
            names += [project.add_batch(), project.add_batch()]
            ballast = fill(disk)
            with pytest.raises(StoreError, match=str(disk)) as caught:
                app.once()
            assert caught.value.exit_code == 3
            ballast.unlink()
            app.once()
        assert settled(project) == dict.fromkeys(names, 1.0)

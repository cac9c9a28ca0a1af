"""A model that misbehaves costs no batch: nothing is recorded, everything waits, and is judged in order later."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.domain.batch import DeliveryKind, DeliveryState
from monitor.domain.version import Alias
from monitor.errors import ArtefactError, ModelError
from tests.support.faults import make_fragile
from tests.support.project import Project

FAULTS = {
    "raises": r"tiny version 1, scoring: .*RuntimeError: no luck today",
    "wrong shape": r"tiny version 1, scoring: .*119",
    "NaN": r"tiny version 1, scoring: .*row 7",
    "exits": r"tiny version 1, scoring: .*3",
    "kills its process": r"tiny version 1, scoring: its process was killed by SIGKILL",
    "hangs": r"tiny version 1, scoring: gave no answer within model\.timeout of 8 s",
}


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    changes = {"retrain": {"mode": "off"}, "model": {"timeout": "8s"}}
    project = Project.create(tmp_path_factory.mktemp("fragile") / "project", changes=changes)
    fault = make_fragile(project)
    project.add_batch()
    with open_application(project.config) as app:
        assert len(app.once()) == 1
    return project, fault


def waiting(app: Application) -> list[str]:
    states = (DeliveryState.SEEN, DeliveryState.CLAIMED)
    return [e.name for e in app.store.entries("tiny", DeliveryKind.BATCH) if e.state in states]


@pytest.mark.parametrize("what", FAULTS)
def test_the_batches_wait_until_the_model_is_mended(fragile, what):
    project, fault = fragile
    names = [project.add_batch(), project.add_batch()]
    with open_application(project.config) as app:
        before = app.store.records("tiny")
        fault.write_text(what)
        with pytest.raises(ModelError) as caught:
            app.once()
        assert re.search(FAULTS[what], str(caught.value), re.DOTALL), str(caught.value)
        assert caught.value.exit_code == 4
        assert app.store.records("tiny") == before
        assert waiting(app) == names
        fault.unlink()
        assert [r.batch for r in app.once()] == names
        coverage = [app.store.record("tiny", name)["performance"]["labels_coverage"] for name in names]
        assert coverage == [1.0, 1.0]
        assert app.once() == []


def test_at_the_process_boundary_it_is_exit_4_and_one_message(fragile):
    project, fault = fragile
    name = project.add_batch()
    fault.write_text("raises")
    command = [sys.executable, "-m", "monitor", "-c", str(project.config), "--json", "once"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    told = json.loads(done.stderr.splitlines()[-1])
    assert (told["kind"], told["exit_code"]) == ("ModelError", 4)
    assert "no luck today" in told["error"]
    fault.unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, [json.loads(line)["batch"] for line in done.stdout.splitlines()]) == (0, [name])


@pytest.fixture
def two_versions(tmp_path) -> Project:
    """Version 1 and, promoted over it, version 2, which was added from elsewhere; one batch judged by each."""
    project = Project.create(tmp_path / "project", changes={"retrain": {"mode": "off"}})
    project.add_batch()
    with open_application(project.config) as app:
        app.once()
        weights = app.runtime("tiny").artefacts.folder(1) / "weights"
        assert app.add_model("tiny", weights, code=None, held_out=None).version == 2
        app.promote("tiny", 2, "a try")
        project.add_batch()
        assert [r.model_version for r in app.once()] == [2]
    return project


@pytest.mark.parametrize("file", ["weights/model.json", "code.py", "reference.safetensors", "manifest.json"])
def test_a_changed_byte_is_refused_by_name_and_an_intact_version_takes_over(two_versions, file):
    project = two_versions
    names = [project.add_batch(), project.add_batch()]
    with open_application(project.config) as app:
        changed = app.runtime("tiny").artefacts.folder(2) / file
        content = bytearray(changed.read_bytes())
        content[len(content) // 2] ^= 1
        changed.write_bytes(content)
        with pytest.raises(ArtefactError, match=re.escape(str(changed))) as caught:
            app.once()
        assert caught.value.exit_code == 4
        assert app.store.count_records("tiny") == 2
        with pytest.raises(ArtefactError, match=re.escape(str(changed))):
            app.promote("tiny", 2, "again")
        assert app.store.alias("tiny", Alias.CHAMPION) == 2
        assert app.rollback("tiny", "the file was changed").version == 1
        judged = app.once()
        assert [(r.batch, r.model_version) for r in judged] == [(name, 1) for name in names]
        assert app.store.record("tiny", names[0])["performance"]["labels_coverage"] == 1.0


def test_a_missing_version_is_refused_by_name(two_versions):
    with open_application(two_versions.config) as app:
        folder = app.runtime("tiny").artefacts.folder(2)
        folder.rename(two_versions.folder / "elsewhere")
        with pytest.raises(ArtefactError, match=f"tiny version 2: {re.escape(str(folder))} is missing"):
            app.once()
        (two_versions.folder / "elsewhere").rename(folder)
        assert app.once() == []


@pytest.mark.parametrize(("body", "message"), [
    ("def (", "SyntaxError"), ("x = 1", "defines no class `Model`"), ("raise OSError('no driver')", "no driver"),
])  # fmt: skip
def test_code_that_cannot_be_loaded_trains_no_first_model(tmp_path, body, message):
    project = Project.create(tmp_path, changes={"retrain": {"mode": "off"}})
    code = project.folder / "models" / "model.py"
    good = code.read_text()
    code.write_text(body)
    name = project.add_batch()
    with open_application(project.config) as app:
        with pytest.raises(ModelError, match=message):
            app.once()
        assert (app.store.manifests("tiny"), app.store.records("tiny")) == ([], [])
        code.write_text(good)
        assert [r.batch for r in app.once()] == [name]


def test_a_trainer_that_fails_leaves_the_champion(fragile):
    project, fault = fragile
    with open_application(project.config) as app:
        fault.write_text("raises")
        attempt = app.retrain("tiny", Orders(), lambda share, what: None)
        fault.unlink()
        assert (attempt["outcome"], app.store.alias("tiny", Alias.CHAMPION)) == ("failed", 1)
        assert "no luck today" in attempt["reason"]
        name = project.add_batch()
        assert [r.batch for r in app.once()] == [name]


def test_rows_without_the_positive_class_train_add_and_judge(tmp_path):
    """A quiet time: neither the training file nor the held-out one has a positive row, so there is nothing to rank."""
    changes = {"retrain": {"mode": "off"}, "performance": {"metric": "roc_auc"}}
    project = Project.create(tmp_path, changes=changes)
    training = pq.read_table(project.folder / "training.parquet")
    quiet = training.filter(pc.equal(training["y"], "DOWN"))
    pq.write_table(quiet, project.folder / "training.parquet")
    project.add_batch()
    with open_application(project.config) as app:
        (record,) = app.once()
        weights = app.runtime("tiny").artefacts.folder(1) / "weights"
        added = app.add_model("tiny", weights, code=None, held_out=None)
        manifests = app.store.manifests("tiny")
        assert [m.classes for m in manifests] == [("DOWN", "UP")] * 2
        assert [sorted(m.metrics) for m in manifests] == [["loss"], []]
        app.promote("tiny", added.version, "a try")
        project.add_batch()
        assert [r.model_version for r in app.once()] == [2]
        realised = app.store.record("tiny", record.batch)["performance"]["realised"]
        assert 0.0 <= realised <= 1.0  # the batch has both classes

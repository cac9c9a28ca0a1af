"""Version folders: what was saved is what is loaded, or there is an error that names the file."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from monitor.adapters.artefacts import FolderArtefacts
from monitor.domain.version import Manifest
from monitor.errors import ArtefactError, StoreError
from tests.adapters.model_sources import manifest


@pytest.fixture
def artefacts(tmp_path):
    return FolderArtefacts(tmp_path / "models")


def stage(tmp_path, content: bytes = b"weights"):
    folder = tmp_path / "staging"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / "w.bin").write_bytes(content)
    (folder / "code.py").write_text("Model = object")
    return folder


def test_a_published_version_verifies_and_its_manifest_lists_every_file(artefacts, tmp_path):
    staged = stage(tmp_path)
    published = artefacts.publish(staged, manifest(version=3))
    assert not staged.exists()
    assert set(published.files) == {"weights/w.bin", "code.py"}
    bundle = artefacts.verify(published)
    assert bundle.folder == artefacts.folder(3)
    assert (bundle.folder / "weights" / "w.bin").read_bytes() == b"weights"
    assert Manifest.from_dict(json.loads((bundle.folder / "manifest.json").read_text())) == published


def test_a_metric_that_is_not_defined_does_not_look_like_a_changed_manifest(artefacts, tmp_path):
    published = artefacts.publish(stage(tmp_path), manifest(metrics={"roc_auc": float("nan")}))
    bundle = artefacts.verify(dataclasses.replace(published, metrics={"roc_auc": float("nan")}))
    assert math.isnan(bundle.manifest.metrics["roc_auc"])


@pytest.mark.parametrize("name", ["weights/w.bin", "code.py"])
def test_any_changed_byte_is_found(artefacts, tmp_path, name):
    published = artefacts.publish(stage(tmp_path), manifest())
    file = artefacts.folder(1) / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtefactError, match=rf"{name}: was changed after it was saved"):
        artefacts.verify(published)


def test_a_missing_file_an_added_file_and_a_missing_folder_are_named(artefacts, tmp_path):
    published = artefacts.publish(stage(tmp_path), manifest())
    folder = artefacts.folder(1)
    (folder / "extra.bin").touch()
    with pytest.raises(ArtefactError, match=r"extra\.bin was added"):
        artefacts.verify(published)
    (folder / "extra.bin").unlink()
    (folder / "code.py").unlink()
    with pytest.raises(ArtefactError, match=r"code\.py: cannot be read: No such file"):
        artefacts.verify(published)
    artefacts.reap([])
    with pytest.raises(ArtefactError, match=r"shop version 1: .* is missing"):
        artefacts.verify(published)


def test_a_manifest_that_is_not_the_recorded_one_is_refused(artefacts, tmp_path):
    published = artefacts.publish(stage(tmp_path), manifest())
    with pytest.raises(ArtefactError, match=r"manifest\.json differs from what the store recorded"):
        artefacts.verify(dataclasses.replace(published, seed=1))
    (artefacts.folder(1) / "manifest.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"manifest\.json cannot be read"):
        artefacts.verify(published)


def test_a_version_is_written_once(artefacts, tmp_path):
    published = artefacts.publish(stage(tmp_path), manifest())
    with pytest.raises(StoreError, match="exists already"):
        artefacts.publish(stage(tmp_path, b"other"), manifest())
    artefacts.verify(published)


def test_reaping_keeps_the_known_versions_alone(artefacts, tmp_path):
    artefacts.reap([1])  # nothing there yet
    kept = artefacts.publish(stage(tmp_path), manifest(version=1))
    artefacts.publish(stage(tmp_path), manifest(version=2))
    (artefacts.folder(1).parent / "half").mkdir()
    (artefacts.folder(1).parent / "stray.json").touch()
    artefacts.reap(iter([1]))
    assert [path.name for path in artefacts.folder(1).parent.iterdir()] == [artefacts.folder(1).name]
    artefacts.verify(kept)


def test_a_place_that_cannot_be_written_is_a_store_error(tmp_path):
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="version cannot be saved"):
        FolderArtefacts(tmp_path / "models" / "shop").publish(stage(tmp_path), manifest())

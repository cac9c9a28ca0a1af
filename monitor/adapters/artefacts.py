"""`Artefacts` as folders: one per version, written once, every file's SHA-256 recorded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from monitor.adapters.atomic_files import sync_folder
from monitor.app.ports import ModelBundle
from monitor.domain.version import Manifest
from monitor.errors import ArtefactError, StoreError

_MANIFEST = "manifest.json"


class FolderArtefacts:
    """Versions of one deployment under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, version: int) -> Path:
        return self._root / f"v{version:06d}"

    def verify(self, manifest: Manifest) -> ModelBundle:
        """Check every file's hash, that no file is missing or was added, and that the manifest is the recorded one.

        Raises ArtefactError naming the file.
        """
        folder = self.folder(manifest.version)
        what = f"{manifest.deployment} version {manifest.version}"
        if not folder.is_dir():
            raise ArtefactError(f"{what}: {folder} is missing; roll back to another version, or restore the folder")
        check_files(folder, manifest)
        present = {_name(folder, file) for file in _files(folder)} - {_MANIFEST}
        if added := sorted(present - set(manifest.files)):
            raise ArtefactError(f"{what}: {folder / added[0]} was added after the version was saved; remove it")
        try:
            recorded = Manifest.from_dict(json.loads((folder / _MANIFEST).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ArtefactError(f"{what}: {folder / _MANIFEST} cannot be read: {exc}") from exc
        if _text(recorded) != _text(manifest):
            raise ArtefactError(f"{what}: {folder / _MANIFEST} differs from what the store recorded")
        return ModelBundle(folder=folder, manifest=manifest)

    def publish(self, staged: Path, manifest: Manifest) -> Manifest:
        """Hash, fsync and move a staged folder to its place; returns the manifest with `files`.

        `staged` must be on the same file system. Raises StoreError, also when the version has a folder already.
        """
        target = self.folder(manifest.version)
        try:
            files = {_name(staged, file): _digest(file) for file in _files(staged)}
            manifest = replace(manifest, files=files)
            (staged / _MANIFEST).write_text(_text(manifest), encoding="utf-8")
            for path in (*_files(staged), *(p for p in staged.rglob("*") if p.is_dir()), staged):
                _sync(path)
            self._root.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise StoreError(f"{target}: exists already; a version is written once")
            staged.rename(target)
            sync_folder(self._root)
        except OSError as exc:
            raise StoreError(f"{target}: version cannot be saved: {exc.strerror or exc}") from exc
        return manifest

    def reap(self, known: Iterable[int]) -> None:
        """Remove what a dead process left: everything in the root that is not a known version."""
        keep = {self.folder(version).name for version in known}
        try:
            left = [path for path in self._root.iterdir() if path.name not in keep] if self._root.is_dir() else []
            for path in left:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as exc:
            raise StoreError(f"{self._root}: left-overs cannot be removed: {exc}") from exc


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare the recorded files with those in `folder`; raises ArtefactError naming the first that differs."""
    for name, expected in manifest.files.items():
        file = folder / name
        try:
            found = _digest(file)
        except OSError as exc:
            raise ArtefactError(f"{file}: cannot be read: {exc.strerror or exc}") from exc
        if found != expected:
            raise ArtefactError(
                f"{file}: was changed after it was saved (SHA-256 {found[:12]}…, recorded {expected[:12]}…); "
                "restore it or roll back to another version"
            )


def _text(manifest: Manifest) -> str:
    return json.dumps(manifest.to_dict(), indent=1, sort_keys=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sync(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

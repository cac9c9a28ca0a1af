"""Files that are older than they may be. The modification time counts: it is when the file was written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path

from monitor.adapters.atomic_files import sync_folder
from monitor.adapters.file_reading import suffix_of
from monitor.adapters.parquet_files import read_facts
from monitor.domain.batch import DeliveryKind
from monitor.errors import StoreError


class FolderExpiry:
    """Of one deployment, below the data folder. Only for who holds its lease."""

    def __init__(self, data: Path, deployment: str) -> None:
        self._collected = data / "collected" / deployment
        self._labels = self._collected / "labels" / "labels"
        self._reports = data / "reports" / deployment
        self._inbox = data / "inbox" / deployment

    def batches(self, before: datetime) -> list[str]:
        return [str(read_facts(file)["batch"]) for file in _older(self._collected / "rows", before)]

    def remove_rows(self, before: datetime, keep: Collection[str]) -> int:
        """Collected rows of batches that are not to be kept, their labels, and labels that never found a row."""

        def unwanted(file: Path) -> bool:
            return read_facts(file)["batch"] not in keep

        removed = _remove(self._collected / "rows", before, unwanted)
        _remove(self._labels / "joined", before, unwanted)
        _remove(self._labels / "staged", before)
        return removed

    def remove_quarantine(self, before: datetime) -> int:
        return _remove(self._collected / "quarantine", before)

    def remove_reports(self, before: datetime) -> int:
        return _remove(self._reports, before)

    def remove_pushed(self, kind: DeliveryKind, before: datetime, settled: Collection[str]) -> int:
        """Of the ids that are `settled`: the others are still to be worked on."""
        folder = self._inbox / ("batches" if kind is DeliveryKind.BATCH else "labels")
        return _remove(folder, before, lambda file: file.name.removesuffix(suffix_of(file.name)) in settled)


def _older(folder: Path, before: datetime) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            if file.is_file() and file.stat().st_mtime < before.timestamp():
                yield file


def _remove(folder: Path, before: datetime, unwanted: Callable[[Path], bool] = lambda _: True) -> int:
    removed = 0
    try:
        for file in _older(folder, before):
            if unwanted(file):
                file.unlink(missing_ok=True)
                removed += 1
        if removed:
            sync_folder(folder)
    except OSError as exc:
        raise StoreError(f"{exc.filename or folder}: cannot be removed: {os.strerror(exc.errno or 0)}") from exc
    return removed

"""What is pushed to a deployment lands in `inbox/NAME/batches/ID.parquet`, and is a file from then on.

So there is one way from a delivery to a verdict: the same ledger, the same validation, the same quarantine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

from monitor.adapters.atomic_files import write_atomically
from monitor.adapters.content_hash import content_hash
from monitor.adapters.file_reading import suffix_of
from monitor.adapters.file_source import FileBatchSource, FileLabelSource
from monitor.app.ports import BatchSource, LabelSource, Validated
from monitor.config.sources import BatchesConfig, LabelsConfig
from monitor.domain.batch import Delivery, IsSettled, Window
from monitor.domain.schema import Schema
from monitor.errors import SourceError

_Files = TypeVar("_Files", bound=FileBatchSource | FileLabelSource)
_Main = TypeVar("_Main", bound=LabelSource)
_AT_ONCE = {"settle": timedelta(0)}  # files appear whole


class Inbox(Generic[_Files]):
    """The pushed files of one kind. `folder` is as the configuration says `data`: relative to the project, or not."""

    def __init__(self, folder: Path, project: Path, files: _Files) -> None:
        self._folder, self._at = folder, project / folder
        self.files: _Files = files
        self._lock = threading.Lock()

    def fingerprint(self, name: str) -> str | None:
        """Hash of the content that lies there under this id; None when nothing does."""
        if (file := self._file(name)) is None:
            return None
        try:
            return self.hash(file.read_bytes())
        except OSError as exc:
            raise SourceError(f"{file}: cannot be read: {exc.strerror}") from exc

    def judge(self, name: str, suffix: str, content: bytes, *, now: datetime) -> Validated:
        return self.files.judge(content, f"{name}{suffix}", now=now)

    def put(self, name: str, suffix: str, content: bytes) -> bool:
        """Keep it durably; False when other content lies there under this id. The same again changes nothing."""
        with self._lock:
            known = self.fingerprint(name)
            if known is None:
                write_atomically(self._at / f"{name}{suffix}", content)
            return known in (None, self.hash(content))

    def hash(self, content: bytes) -> str:
        """As file sources do it, so that the ledger knows it."""
        return content_hash(content)

    def has(self, delivery: Delivery) -> bool:
        return delivery.locator.startswith(f"{self._folder.as_posix()}/")

    def deliveries(self, is_settled: IsSettled | None = None) -> list[Delivery]:
        """Named by their ids, without the suffix that says how they were encoded."""
        if not self._at.is_dir():
            return []
        return [replace(d, name=d.name.removesuffix(suffix_of(d.name))) for d in self.files.deliveries(is_settled)]

    def _file(self, name: str) -> Path | None:
        if not self._at.is_dir():
            return None
        return next((f for f in self._at.iterdir() if f.name.removesuffix(suffix_of(f.name)) == name), None)


def batch_inbox(folder: Path, project: Path, config: BatchesConfig, schema: Schema) -> Inbox[FileBatchSource]:
    return Inbox(folder, project, FileBatchSource(_all_in(folder), config.model_copy(update=_AT_ONCE), schema, project))


def label_inbox(
    folder: Path, project: Path, config: LabelsConfig, schema: Schema, classes: Callable[[], Sequence[str]]
) -> Inbox[FileLabelSource]:
    at_once = config.model_copy(update=_AT_ONCE)
    return Inbox(folder, project, FileLabelSource(_all_in(folder), at_once, schema, project, classes))


class WithInbox(Generic[_Main]):
    """`LabelSource` over a main source, if there is one, and what was pushed."""

    def __init__(self, inbox: Inbox[FileBatchSource] | Inbox[FileLabelSource], main: _Main | None) -> None:
        self.inbox, self._main = inbox, main

    def deliveries(self, is_settled: IsSettled | None = None) -> Sequence[Delivery]:
        pushed = self.inbox.deliveries(is_settled)
        return [*pushed, *self._main.deliveries(is_settled)] if self._main is not None else pushed

    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool:
        return self._of(delivery).is_complete(delivery, now=now)

    def fingerprint(self, delivery: Delivery) -> str:
        return self._of(delivery).fingerprint(delivery)

    def read(self, delivery: Delivery, *, now: datetime) -> Validated:
        return self._of(delivery).read(delivery, now=now)

    def _of(self, delivery: Delivery) -> LabelSource:
        if self._main is None or self.inbox.has(delivery):
            return self.inbox.files
        return self._main


class BatchesWithInbox(WithInbox[BatchSource]):
    """`BatchSource` likewise."""

    def __init__(self, inbox: Inbox[FileBatchSource], main: BatchSource | None) -> None:
        super().__init__(inbox, main)
        self._batches, self._pushed = main, inbox

    def window(self, delivery: Delivery) -> Window:
        if self._batches is None or self._pushed.has(delivery):
            return self._pushed.files.window(delivery)
        return self._batches.window(delivery)


def _all_in(folder: Path) -> str:
    return f"{folder.as_posix()}/*"

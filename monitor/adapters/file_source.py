"""`BatchSource` and `LabelSource` on files, local or by fsspec URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
from fsspec.implementations.local import LocalFileSystem

from monitor.adapters.content_hash import content_hash
from monitor.adapters.file_pattern import FilePattern
from monitor.adapters.file_reading import PARQUET, parquet_footer_missing, read_raw, refused, suffix_of
from monitor.adapters.validation.labels import LabelColumns, validate_labels
from monitor.adapters.validation.rows import validate_rows
from monitor.adapters.validation.times import later_than, times
from monitor.app.ports import Clock, Validated
from monitor.config.sources import BatchesConfig, LabelsConfig
from monitor.domain.batch import Delivery, IsSettled, Window
from monitor.domain.quarantine import FileReason
from monitor.domain.schema import Schema
from monitor.errors import ConfigError, DataError, SourceError

_KEPT_BYTES = 64 * 1024**2  # a file that is larger is read again each time it is asked for
_FOOTER_PATIENCE = 10  # × settle: a Parquet writer that thinks between two row groups is given that long
_CLOCK_SKEW = timedelta(hours=1)  # a file modified later than this from now says nothing about when it was


def utc_now() -> datetime:
    return datetime.now(UTC)


class FileBatchSource:
    """Batches, one per file. `clock` only keeps timestamps in the future out of `window`."""

    def __init__(self, path: str, config: BatchesConfig, schema: Schema, project: Path, clock: Clock = utc_now) -> None:
        self._files = _Files(path, project, settle=config.settle, timezone=schema.timezone, key="batches.path")
        self._schema = schema
        self._future = config.future
        self._clock = clock

    def deliveries(self, is_settled: IsSettled | None = None) -> Sequence[Delivery]:
        return self._files.deliveries(is_settled)

    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool:
        return self._files.is_complete(delivery, now=now)

    def fingerprint(self, delivery: Delivery) -> str:
        return self._files.fingerprint(delivery)

    def window(self, delivery: Delivery) -> Window:
        try:
            promised = self._files.promised(delivery)
            if promised is None and (timestamp := self._schema.timestamp) is not None:
                content, latest = self._files.content(delivery), self._clock() + self._future
                promised = _seen(content, delivery.locator, timestamp, self._schema.timezone, latest)
        except (DataError, SourceError, ValueError, OverflowError):
            promised = None  # `read` says what is wrong
        return promised or Window(delivery.modified, delivery.modified)

    def read(self, delivery: Delivery, *, now: datetime) -> Validated:
        content = self._files.last_content(delivery)
        try:
            window = self._files.promised(delivery)
        except (ValueError, OverflowError) as exc:
            raise refused(FileReason.IMPOSSIBLE_DATE, f": {exc}", delivery.locator) from exc
        return self.judge(content, delivery.locator, now=now, window=window)

    def judge(self, content: bytes, file: str, *, now: datetime, window: Window | None = None) -> Validated:
        """Read and judge content that may lie nowhere yet. Raises DataError."""
        return validate_rows(content, file, self._schema, window=window, latest=now + self._future)


class FileLabelSource:
    """Labels, as many files as there come. `classes` tells those that the champion knows; none before there is one."""

    def __init__(
        self, path: str, config: LabelsConfig, schema: Schema, project: Path, classes: Callable[[], Sequence[str]]
    ) -> None:
        if schema.id is None or schema.label is None:
            raise ConfigError("labels: the schema needs `id` and `label`, by which labels are joined")
        self._files = _Files(path, project, settle=config.settle, timezone=schema.timezone, key="labels.path")
        self._classes = classes
        self._columns = LabelColumns(
            id=schema.id,
            label=schema.label,
            available_at=config.available_at,
            timezone=schema.timezone,
            private=bool(schema.private),
        )

    def deliveries(self, is_settled: IsSettled | None = None) -> Sequence[Delivery]:
        return self._files.deliveries(is_settled)

    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool:
        return self._files.is_complete(delivery, now=now)

    def fingerprint(self, delivery: Delivery) -> str:
        return self._files.fingerprint(delivery)

    def read(self, delivery: Delivery, *, now: datetime) -> Validated:
        return self.judge(self._files.last_content(delivery), delivery.locator, now=now)

    def judge(self, content: bytes, file: str, *, now: datetime) -> Validated:
        """Read and judge content that may lie nowhere yet. Raises DataError."""
        return validate_labels(content, file, self._columns, self._classes())


def read_table(path: Path | str, key: str, schema: Schema, *, require_label: bool) -> Validated:
    """Read and judge one file, local or by URL, as a batch is; the label column comes last when it is there.

    `require_label`: a row without label is refused, a file without is a DataError. Raises SourceError when it cannot
    be read, naming the setting `key` that the path is from.
    """
    content = read_content(str(path), key)
    return validate_rows(content, str(path), schema, label=schema.label, require_label=require_label)


def read_content(path: str, key: str) -> bytes:
    """All bytes of one file, local or by URL. Raises SourceError naming the path and the setting `key` it is from."""
    with _translated(path, key):
        fs, at = _file_system(path, path, key)
        with fs.open(at, "rb") as file:
            content: bytes = file.read()
    return content


def _file_system(url: str, configured: str, key: str) -> tuple[Any, str]:
    """And the path in it. Raises ConfigError for one that is not known, or whose package is not installed."""
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as exc:
        raise ConfigError(f"{key}: {configured}: {exc}") from exc
    return fs, str(path)


def _seen(content: bytes, file: str, timestamp: str, timezone: str | None, latest: datetime) -> Window | None:
    """From the first to the last timestamp that is not later than `latest`; None when there is none."""
    raw = read_raw(content, file, scalars=[timestamp])
    if timestamp not in raw.frame.columns:
        return None
    stamps = times(raw.frame[timestamp], file, timezone=timezone).values
    late = later_than(stamps, latest)
    ends = pc.min_max(stamps.filter(pa.array(~late.bad)) if late else stamps).as_py()
    if ends["min"] is None:
        return None
    return Window(ends["min"].astimezone(UTC), ends["max"].astimezone(UTC))


class _Files:
    """The files that a configured path names. A locator is relative to the project when the path is."""

    def __init__(self, path: str, project: Path, *, settle: timedelta, timezone: str | None, key: str) -> None:
        self._key, self._settle = key, settle
        self._pattern = FilePattern.parse(path, timezone=timezone, key=key)
        fixed = self._pattern.fixed
        self._start = fixed if "://" in path or Path(path).is_absolute() else f"{project.resolve().as_posix()}/{fixed}"
        self._fs, root = _file_system(self._start, path, key)
        self._root = root.rstrip("/")
        self._kept: tuple[Delivery, bytes] | None = None

    def deliveries(self, is_settled: IsSettled | None) -> list[Delivery]:
        self._fs.invalidate_cache()
        with _translated(self._start, self._key):
            walk = self._walk_local if isinstance(self._fs, LocalFileSystem) else self._walk
            found = [
                self._delivery(below, size, modified)
                for below, size, modified in walk(self._root, self._pattern.depth)
                if is_settled is None or not is_settled(self._pattern.fixed + below, size, modified)
            ]
        return sorted(found, key=lambda delivery: delivery.locator)

    def is_complete(self, delivery: Delivery, *, now: datetime) -> bool:
        path = self._path(delivery)
        with _translated(path, self._key):
            info = self._fs.info(path)
            modified = _modified(info, path)
            if (info["size"], modified) != (delivery.size, delivery.modified):
                return False
            age = now - modified
            if -_CLOCK_SKEW <= age < self._settle:
                return False
            patient = -_CLOCK_SKEW <= age < _FOOTER_PATIENCE * self._settle
            if patient and suffix_of(delivery.locator) in PARQUET:
                with self._fs.open(path, "rb") as file:
                    head = file.read(4)
                    file.seek(max(0, info["size"] - 4))
                    return not parquet_footer_missing(info["size"], head, file.read(4))
        return True

    def fingerprint(self, delivery: Delivery) -> str:
        return content_hash(self.content(delivery))

    def content(self, delivery: Delivery) -> bytes:
        """The bytes rather than the path: a file that is cut off while it is mapped would take the process down.

        Kept until another file is asked for, so that what is hashed, dated and judged is read once, and is the same.
        """
        if self._kept is None or self._kept[0] != delivery:
            path = self._path(delivery)
            with _translated(path, self._key), self._fs.open(path, "rb") as file:
                content: bytes = file.read()
            if len(content) > _KEPT_BYTES:
                self._kept = None
                return content
            self._kept = delivery, content
        return self._kept[1]

    def last_content(self, delivery: Delivery) -> bytes:
        """As `content`, which is then kept no longer."""
        content, self._kept = self.content(delivery), None
        return content

    def promised(self, delivery: Delivery) -> Window | None:
        """The window that the path names. Raises ValueError or OverflowError for an impossible date."""
        return self._pattern.window(delivery.locator.removeprefix(self._pattern.fixed))

    def _walk_local(self, folder: str, depth: int | None) -> Iterator[tuple[str, int, datetime]]:
        """Files that match, below the root, with size and modification time: a fifth of what `_walk` takes for it."""
        with os.scandir(folder or "/") as entries:
            for entry in entries:
                try:
                    if entry.is_file(follow_symlinks=False):
                        if self._pattern.matches(below := entry.path[len(self._root) + 1 :]):
                            info = entry.stat(follow_symlinks=False)
                            yield below, info.st_size, datetime.fromtimestamp(info.st_mtime, UTC)
                    elif entry.is_dir(follow_symlinks=False) and depth != 1:
                        yield from self._walk_local(entry.path, None if depth is None else depth - 1)
                except FileNotFoundError:
                    continue  # removed while we looked

    def _walk(self, folder: str, depth: int | None) -> Iterator[tuple[str, int, datetime]]:
        """The same on any file system."""
        for info in self._fs.ls(folder, detail=True):
            path = str(info["name"]).rstrip("/")
            if info["type"] == "file":
                if path == folder:
                    raise NotADirectoryError(folder)
                if self._pattern.matches(below := path.removeprefix(f"{self._root}/")):
                    yield below, info["size"], _modified(info, below)
            elif info["type"] == "directory" and depth != 1 and path != folder:
                try:
                    yield from self._walk(path, None if depth is None else depth - 1)
                except FileNotFoundError:
                    continue  # removed while we looked

    def _delivery(self, below: str, size: int, modified: datetime) -> Delivery:
        name = self._pattern.name(below)
        return Delivery(locator=self._pattern.fixed + below, name=name, size=size, modified=modified)

    def _path(self, delivery: Delivery) -> str:
        return f"{self._root}/{delivery.locator.removeprefix(self._pattern.fixed)}"


def _modified(info: dict[str, Any], path: str) -> datetime:
    """Modification time, by the names that file systems give it."""
    found = next((info[k] for k in ("mtime", "LastModified", "last_modified", "updated", "created") if k in info), None)
    if isinstance(found, int | float):
        return datetime.fromtimestamp(found, UTC)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if not isinstance(found, datetime) or found.utcoffset() is None:
        raise SourceError(f"{path}: this file system does not tell when a file was modified")
    return found.astimezone(UTC)


@contextmanager
def _translated(path: str, key: str) -> Iterator[None]:
    """Turn what the file system raises into a SourceError that names the path and the remedy."""
    try:
        yield
    except FileNotFoundError as exc:
        raise SourceError(f"{path}: no such file or folder; create it, or correct `{key}`") from exc
    except PermissionError as exc:
        where = exc.filename or path
        raise SourceError(f"{where}: no permission; let the user that runs the monitor read it") from exc
    except NotADirectoryError as exc:
        raise SourceError(f"{path}: a file where a folder is expected; correct `{key}`") from exc
    except OSError as exc:
        raise SourceError(f"{path}: cannot be read: {exc}; check that it can be reached") from exc

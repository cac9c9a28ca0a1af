"""`CollectedData` as Parquet files: `rows/date=YYYY-MM-DD/BATCH.parquet` and `quarantine/DELIVERY.parquet`."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitor.adapters.atomic_files import sync_folder
from monitor.adapters.label_files import from_microseconds, to_microseconds
from monitor.adapters.parquet_files import parquet_files, read_facts, read_parquet, write_parquet
from monitor.adapters.row_ids import IdIndex, as_ids, digest_ids, hash_ids
from monitor.adapters.safe_names import safe_name
from monitor.domain.batch import Window
from monitor.domain.model import Scores
from monitor.domain.score_columns import PREFIXES, SERVED
from monitor.errors import StoreError


@dataclass(frozen=True, slots=True)
class _Form:
    """What nearly all files of a deployment have in common."""

    id_column: str
    scores: tuple[str, ...]  # names of the score columns
    regression: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Collected:
    """What is remembered of a written file, in little: there is one more of it for every batch."""

    owner: int  # in the index of row ids; a batch that is written again gets a new one
    edition: int  # of its batch, from 1
    start: int  # of the window, µs since 1970
    end: int
    form: _Form
    digest: str


class ParquetCollectedData:
    """One process writes; what other processes write is seen by those that are opened afterwards.

    Safe from any thread. Nothing is read before the first call. The id is the first column of the rows.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._files: dict[str, _Collected] | None = None
        self._order: list[str] | None = None
        self._broken = 1  # earlier marks know of batches that are gone, or have other rows
        self._index: IdIndex | None = None
        self._form = _Form("", (), False)  # of the file that was last written or read
        self._batch_of: list[str | None] = [None]  # by owner, from 1; None: replaced or discarded
        self._latest_ids: tuple[int, pa.Array] = (0, None)  # of one owner: joining labels asks for the same ones again

    def duplicates(self, batch: str, ids: pa.Array) -> Mapping[int, str]:
        wanted = as_ids(ids)
        with self._lock:
            try:
                positions, owners = self._indexed().hits(hash_ids(wanted))
            except StoreError:
                self._index = None  # somebody has removed its files: it is made anew
                raise
            found: dict[int, str] = {}
            for owner in np.unique(owners):
                other = self._batch_of[int(owner)]
                if other is None or other == batch:
                    continue
                candidates = positions[owners == owner]
                same = pc.is_in(wanted.take(pa.array(candidates)), value_set=self.ids(other))
                for position in candidates[same.to_numpy(zero_copy_only=False)].tolist():
                    found.setdefault(position, other)
            return found

    def write(
        self,
        batch: str,
        window: Window,
        rows: pa.Table,
        scores: Scores,
        classes: Sequence[str],
        *,
        beside: Mapping[str, Scores] | None = None,
    ) -> None:
        if taken := [name for name in rows.column_names if name.startswith(PREFIXES)]:
            raise ValueError(f"columns are named like scores: {', '.join(sorted(taken))}")
        table, names = _with_scores(rows, SERVED, scores, classes)
        for prefix, others in (beside or {}).items():
            table, _ = _with_scores(table, prefix, others, classes)
        ids = as_ids(rows.column(0))
        path = self._path(batch, to_microseconds(window.start))
        facts: dict[str, Any] = {
            "batch": batch,
            "window": [window.start.isoformat(), window.end.isoformat()],
            "id_column": rows.column_names[0],
            "scores": names,
            "regression": not classes,
            "digest": digest_ids(ids),
        }
        with self._lock:
            files = self._known()
            replaced = files.get(batch)
            facts["edition"] = replaced.edition + 1 if replaced else 1
            write_parquet(path, table, facts)
            if replaced is not None and (former := self._path(batch, replaced.start)) != path:
                _remove(former)
            same = replaced is not None and self.window(batch) == window and replaced.digest == facts["digest"]
            self._remember(facts, replaced.owner if replaced is not None and same else None)
            if self._index is not None and not same:
                self._index.add(files[batch].owner, hash_ids(ids))

    def discard(self, batch: str) -> None:
        with self._lock:
            if (file := self._known().get(batch)) is None:
                return
            _remove(self._path(batch, file.start))
            self._forget(batch)

    def batches(self) -> Sequence[str]:
        with self._lock:
            files = self._known()
            if self._order is None:
                self._order = sorted(files, key=self._place)
            return self._order

    def changes(self, since: int) -> tuple[int, Sequence[str] | None]:
        with self._lock:
            self._known()
            mark = len(self._batch_of)
            if since < self._broken:
                return mark, None
            return mark, [batch for batch in self._batch_of[since:] if batch is not None]

    def window(self, batch: str) -> Window:
        file = self._file(batch)
        return Window(from_microseconds(file.start), from_microseconds(file.end))

    def ids(self, batch: str) -> pa.Array:
        file = self._file(batch)
        owner, ids = self._latest_ids
        if owner != file.owner:
            ids = as_ids(read_parquet(self._path(batch, file.start), [file.form.id_column]).column(0))
            self._latest_ids = file.owner, ids
        return ids

    def digest(self, batch: str) -> str:
        return self._file(batch).digest

    def read(self, batch: str) -> pa.Table:
        return _read(self._path(batch, self._file(batch).start))

    def scores(self, batch: str) -> Scores:
        file = self._file(batch)
        table = read_parquet(self._path(batch, file.start), file.form.scores)
        columns = [table.column(name).to_numpy() for name in file.form.scores]
        return columns[0] if file.form.regression else np.column_stack(columns)

    def quarantine(self, delivery: str, rejected: pa.Table) -> Path | None:
        if not rejected.num_rows:
            return None
        path = self._folder / "quarantine" / f"{safe_name(delivery)}.parquet"
        write_parquet(path, rejected, {"delivery": delivery})
        return path

    def _file(self, batch: str) -> _Collected:
        with self._lock:
            if (file := self._known().get(batch)) is None:
                raise LookupError(f"batch {batch!r} is not collected")
            return file

    def _known(self) -> dict[str, _Collected]:
        """Files by batch, from the footers at the first call."""
        if self._files is None:
            self._files = {}
            try:
                for path in parquet_files(self._folder / "rows", "date=*/*.parquet"):
                    self._take_in(path)
            except BaseException:
                self._files = None  # half a list would pass for all that there is
                raise
        return self._files

    def _take_in(self, path: Path) -> None:
        facts = read_facts(path)
        twin = (self._files or {}).get(facts["batch"])
        if twin is None:
            self._remember(facts)
            return
        # A crash between writing a batch under another day and removing its former file: the newer one counts.
        if twin.edition > facts["edition"]:
            _remove(path)
            return
        _remove(self._path(facts["batch"], twin.start))
        self._remember(facts)

    def _path(self, batch: str, start: int) -> Path:
        return _path(self._folder, batch, from_microseconds(start))

    def _place(self, batch: str) -> tuple[int, int, str]:
        """In the order of batches."""
        file = self._known()[batch]
        return file.end, file.start, batch

    def _remember(self, facts: Mapping[str, Any], owner: int | None = None) -> None:
        """Under a new owner, unless the rows are those of this one."""
        assert self._files is not None
        batch = facts["batch"]
        if owner is None:
            self._forget(batch)
            owner = len(self._batch_of)
            self._batch_of.append(batch)
        start, end = (to_microseconds(datetime.fromisoformat(at)) for at in facts["window"])
        form = _Form(facts["id_column"], tuple(facts["scores"]), facts["regression"])
        if form != self._form:
            self._form = form
        is_new = batch not in self._files
        self._files[batch] = _Collected(
            owner=owner,
            edition=facts["edition"],
            start=start,
            end=end,
            form=self._form,
            digest=facts["digest"],
        )
        if self._order and is_new and self._place(self._order[-1]) < self._place(batch):
            self._order.append(batch)  # it nearly always is the newest one
        else:
            self._order = None

    def _forget(self, batch: str) -> None:
        assert self._files is not None
        if (file := self._files.pop(batch, None)) is not None:
            self._order = None
            self._batch_of[file.owner] = None
            self._batch_of.append(None)
            self._broken = len(self._batch_of)

    def _indexed(self) -> IdIndex:
        if self._index is None:
            index = IdIndex(self._folder / "ids")
            for batch, file in self._known().items():
                index.add(file.owner, hash_ids(self.ids(batch)))
            self._index = index
        return self._index


def stored_rows(folder: Path, batch: str, start: datetime) -> pa.Table | None:
    """The rows of a recorded batch whose window starts then, with no look at other files; None when they are gone."""
    path = _path(folder, batch, start)
    return _read(path) if path.exists() else None


def _path(folder: Path, batch: str, start: datetime) -> Path:
    return folder / "rows" / f"date={start.date().isoformat()}" / f"{safe_name(batch)}.parquet"


def _read(path: Path) -> pa.Table:
    return read_parquet(path).unify_dictionaries()


def _with_scores(rows: pa.Table, prefix: str, scores: Scores, classes: Sequence[str]) -> tuple[pa.Table, list[str]]:
    names = [f"{prefix}{name}" for name in classes or ["value"]]
    expected = (rows.num_rows, len(classes)) if classes else (rows.num_rows,)
    if scores.shape != expected:
        raise ValueError(f"scores have shape {scores.shape}, expected {expected}")
    columns = scores.T if classes else [scores]
    for name, column in zip(names, columns, strict=True):
        rows = rows.append_column(name, pa.array(np.ascontiguousarray(column), pa.float64()))
    return rows, names


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as exc:
        raise StoreError(f"{path}: cannot be removed: {exc.strerror}") from exc

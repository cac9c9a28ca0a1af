"""`CollectedData` as Parquet files: `rows/date=YYYY-MM-DD/BATCH.parquet` and `quarantine/DELIVERY.parquet`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitor.adapters.atomic_files import sync_folder
from monitor.adapters.batch_catalogue import BatchCatalogue, CollectedFile, Form
from monitor.adapters.label_files import from_microseconds, to_microseconds
from monitor.adapters.parquet_files import parquet_files, read_facts, read_parquet, write_parquet
from monitor.adapters.row_ids import IdIndex, as_ids, digest_ids, hash_ids
from monitor.adapters.safe_names import safe_name
from monitor.domain.batch import Window
from monitor.domain.model import Scores
from monitor.domain.score_columns import PREFIXES, SERVED
from monitor.errors import StoreError

_SCRATCH = "index"  # folder of what can be made anew from the files


class ParquetCollectedData:
    """One process writes; what other processes write is seen by those that are opened afterwards.

    Safe from any thread. Nothing is read before the first call. The id is the first column of the rows.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._catalogue: BatchCatalogue | None = None
        self._first = 1  # number of the catalogue's first batch: no number ever names two
        self._index: IdIndex | None = None  # its owners are the catalogue's numbers
        self._latest_ids: tuple[int, pa.Array] = (-1, None)  # by number: joining labels asks for the same ones again

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
                other = self._known().batch(int(owner))
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
            catalogue = self._known()
            replaced = catalogue.find(batch)
            facts["edition"] = replaced.edition + 1 if replaced else 1
            write_parquet(path, table, facts)
            if replaced is not None and (former := self._path(batch, replaced.start)) != path:
                _remove(former)
            file = _file_of(facts)
            if replaced is not None and file == replace(replaced, edition=file.edition, form=file.form):
                with self._anew_after_failure():
                    catalogue.rewrite(file)
                return
            with self._anew_after_failure():
                number = catalogue.add(file)
                if self._index is not None:
                    self._index.add(number, hash_ids(ids))

    def discard(self, batch: str) -> None:
        with self._lock:
            catalogue = self._known()
            if (file := catalogue.find(batch)) is not None:
                _remove(self._path(batch, file.start))
                with self._anew_after_failure():
                    catalogue.remove(batch)

    def batches(self, last: int | None = None) -> Sequence[str]:
        with self._lock:
            return self._known().batches(last)

    def __contains__(self, batch: object) -> bool:
        with self._lock:
            return isinstance(batch, str) and batch in self._known()

    def changes(self, since: int) -> tuple[int, Sequence[str] | None]:
        with self._lock:
            catalogue = self._known()
            return catalogue.mark, catalogue.since(since)

    def window(self, batch: str) -> Window:
        file = self._file(batch)
        return Window(from_microseconds(file.start), from_microseconds(file.end))

    def ids(self, batch: str) -> pa.Array:
        with self._lock:
            file, number = self._file(batch), self._known().number(batch)
            latest, ids = self._latest_ids
            if latest != number:
                ids = as_ids(read_parquet(self._path(batch, file.start), [file.form.id_column]).column(0))
                self._latest_ids = number, ids
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

    def _file(self, batch: str) -> CollectedFile:
        with self._lock:
            return self._known().file(batch)

    def _known(self) -> BatchCatalogue:
        """From the footers at the first call."""
        if self._catalogue is None:
            catalogue = BatchCatalogue(self._folder / _SCRATCH / "catalogue.db", first=self._first)
            for path in parquet_files(self._folder / "rows", "date=*/*.parquet"):
                self._take_in(path, catalogue)
            self._catalogue = catalogue  # not before: half a list would pass for all that there is
        return self._catalogue

    def _take_in(self, path: Path, catalogue: BatchCatalogue) -> None:
        file = _file_of(read_facts(path))
        if (twin := catalogue.find(file.batch)) is not None:
            # A crash between writing a batch under another day and removing its former file: the newer one counts.
            if twin.edition > file.edition:
                _remove(path)
                return
            _remove(self._path(file.batch, twin.start))
        catalogue.add(file)

    @contextmanager
    def _anew_after_failure(self) -> Iterator[None]:
        """What is remembered may be half done after an error; the files never are, so the next call reads them."""
        try:
            yield
        except StoreError:
            self._first = self._known().mark + 1
            self._catalogue = self._index = None
            raise

    def _path(self, batch: str, start: int) -> Path:
        return _path(self._folder, batch, from_microseconds(start))

    def _indexed(self) -> IdIndex:
        if self._index is None:
            index = IdIndex(self._folder / _SCRATCH / "ids")
            catalogue = self._known()
            for batch in catalogue.batches():
                index.add(catalogue.number(batch), hash_ids(self.ids(batch)))
            self._index = index
        return self._index


def stored_rows(folder: Path, batch: str, start: datetime) -> pa.Table | None:
    """The rows of a recorded batch whose window starts then, with no look at other files; None when they are gone."""
    path = _path(folder, batch, start)
    return _read(path) if path.exists() else None


def _file_of(facts: Mapping[str, Any]) -> CollectedFile:
    start, end = (to_microseconds(datetime.fromisoformat(at)) for at in facts["window"])
    form = Form(facts["id_column"], tuple(facts["scores"]), facts["regression"])
    batch, edition, digest = facts["batch"], facts["edition"], facts["digest"]
    return CollectedFile(batch=batch, edition=edition, start=start, end=end, form=form, digest=digest)


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

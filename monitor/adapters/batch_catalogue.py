"""Which batches are collected, and what is known of their files: on disk, for there are ever more of them."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.errors import StoreError

_RECENT = 64  # batches that are kept in memory: a pass asks for the newest ones again and again
_PRAGMAS = (
    "page_size = 1024",  # with the next one: 60 KiB in memory for each deployment, a third of what it is without
    "cache_size = 16",
    "journal_mode = MEMORY",  # a crash leaves nothing that is needed: the next process makes its own
    "synchronous = OFF",
)
_TABLE = """
CREATE TABLE files (
    number INTEGER PRIMARY KEY, batch TEXT NOT NULL UNIQUE, edition INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, form TEXT NOT NULL, digest TEXT NOT NULL
)
"""
_ORDER = 'CREATE INDEX in_order ON files ("end", start, batch)'
_COLUMNS = 'batch, edition, start, "end", form, digest, number'
_SORTED = '"end" {0}, start {0}, batch {0}'


@dataclass(frozen=True, slots=True)
class Form:
    """What nearly all files of a deployment have in common."""

    id_column: str
    scores: tuple[str, ...]  # names of the score columns
    regression: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedFile:
    """`start` and `end` are those of the window, in µs since 1970; `digest` is that of the row ids."""

    batch: str
    edition: int  # of the batch, from 1
    start: int
    end: int
    form: Form
    digest: str


class BatchCatalogue:
    """A scratch database at `path`, which is this process' own; what another one left there is removed.

    Batches are numbered as they come; one that comes with other rows, or another window, gets a new number. Safe from
    any thread that holds the owner's lock. Raises StoreError when the disk is full.
    """

    def __init__(self, path: Path, *, first: int = 1) -> None:
        """`first`: the mark of one that this one takes the place of, and the number of the next batch."""
        self._path = path
        self._recent = OrderedDict[str, tuple[int, CollectedFile]]()
        self._next = self._broken = first
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            place = f"{path.resolve().as_uri()}?nolock=1"  # nobody else opens it
            self._database = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._database.close)
            for pragma in _PRAGMAS:
                self._database.execute(f"PRAGMA {pragma}")
            self._database.execute(_TABLE)
            self._database.execute(_ORDER)

    def __contains__(self, batch: str) -> bool:
        return self._find(batch) is not None

    @property
    def mark(self) -> int:
        """Larger after every change."""
        return self._next

    def since(self, mark: int) -> list[str] | None:
        """Batches that were added since; None when one is gone since, too."""
        if mark < self._broken:
            return None
        if mark == self._next:
            return []
        return [batch for (batch,) in self._ask("SELECT batch FROM files WHERE number >= ? ORDER BY number", mark)]

    def find(self, batch: str) -> CollectedFile | None:
        return found[1] if (found := self._find(batch)) is not None else None

    def file(self, batch: str) -> CollectedFile:
        """Raises LookupError when it is not there."""
        return self._known(batch)[1]

    def number(self, batch: str) -> int:
        """Raises LookupError when it is not there."""
        return self._known(batch)[0]

    def batch(self, number: int) -> str | None:
        """None when it is gone."""
        found = self._ask("SELECT batch FROM files WHERE number = ?", number)
        return str(found[0][0]) if found else None

    def batches(self, last: int | None = None) -> list[str]:
        """In order of window end, start and name; of the `last` ones alone."""
        if last is None:
            return [batch for (batch,) in self._ask(f"SELECT batch FROM files ORDER BY {_SORTED.format('ASC')}")]
        newest = self._ask(f"SELECT batch FROM files ORDER BY {_SORTED.format('DESC')} LIMIT ?", last)
        return [batch for (batch,) in reversed(newest)]

    def add(self, file: CollectedFile) -> int:
        """A batch that is there already is gone under its former number."""
        if file.batch in self:
            self.remove(file.batch)
        number = self._next
        self._put(number, file)
        self._next += 1
        return number

    def rewrite(self, file: CollectedFile) -> None:
        """A batch that is there comes with the same rows and window, in another file. Raises LookupError."""
        self._put(self.number(file.batch), file)

    def remove(self, batch: str) -> None:
        """Raises LookupError."""
        self._ask("DELETE FROM files WHERE number = ?", self.number(batch))
        self._recent.pop(batch, None)
        self._next += 1
        self._broken = self._next

    def _known(self, batch: str) -> tuple[int, CollectedFile]:
        if (found := self._find(batch)) is None:
            raise LookupError(f"batch {batch!r} is not collected")
        return found

    def _find(self, batch: str) -> tuple[int, CollectedFile] | None:
        if (found := self._recent.get(batch)) is None:
            rows = self._ask(f"SELECT {_COLUMNS} FROM files WHERE batch = ?", batch)
            if rows:
                found = self._remember(*_from_row(rows[0]))
        return found

    def _put(self, number: int, file: CollectedFile) -> None:
        form = json.dumps([file.form.id_column, file.form.scores, file.form.regression])
        row = (file.batch, file.edition, file.start, file.end, form, file.digest, number)
        self._ask(f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
        self._remember(number, file)

    def _remember(self, number: int, file: CollectedFile) -> tuple[int, CollectedFile]:
        self._recent[file.batch] = number, file
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return number, file

    def _ask(self, statement: str, *values: int | str) -> list[tuple[Any, ...]]:
        with self._translated():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            raise StoreError(f"{self._path}: {exc}") from exc


def _from_row(row: tuple[Any, ...]) -> tuple[int, CollectedFile]:
    batch, edition, start, end, form, digest, number = row
    id_column, scores, regression = json.loads(form)
    made = Form(id_column, tuple(scores), regression)
    return number, CollectedFile(batch=batch, edition=edition, start=start, end=end, form=made, digest=digest)

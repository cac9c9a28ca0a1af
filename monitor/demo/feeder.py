"""The world outside: a process that delivers a batch of scanned digits every few seconds, and their labels later.

It is started by the demo, says on standard output what it is about to do to the data, and ends when its standard input
is closed, so also when the demo dies. What lies in the folder is its memory: a second start goes on where it stopped.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from monitor.adapters.atomic_files import write_atomically
from monitor.demo.digits import Digits, Scanner, halves, scan, table
from monitor.demo.scenario import USUAL, phase_of
from monitor.errors import MonitorError

BATCH_ROWS = 250
TRAINING_ROWS = 2000
LABELS_LATE = 2  # batches
_SEED = 8


class Folder:
    """The demo's folder: `training.parquet`, `incoming/`, `labels/`."""

    def __init__(self, path: Path) -> None:
        self.path, self.training = path, path / "training.parquet"
        self._incoming, self._labels = path / "incoming", path / "labels"
        self._for_training, self._for_batches = halves(np.random.default_rng(_SEED))

    def prepare(self, now: datetime) -> None:
        """Make the folders, and the training file unless it is there: labelled scans of the hour before `now`."""
        for folder in (self._incoming, self._labels):
            folder.mkdir(parents=True, exist_ok=True)
        if self.training.exists():
            return
        rng = np.random.default_rng(_SEED)
        digits = self._for_training.draw(TRAINING_ROWS, rng, USUAL)
        images = scan(digits.images, Scanner(), rng)
        rows = table("training", digits.labels, images, start=now - timedelta(hours=1), end=now)
        _write(self.training, rows)

    @property
    def next_number(self) -> int:
        """One more than the last batch released; never a number twice."""
        return 1 + max(
            (int(file.stem.rpartition("-")[2]) for file in self._incoming.glob("batch-*.parquet")), default=0
        )

    def release(self, number: int, *, start: datetime, end: datetime) -> None:
        """Deliver the labels of the batch `LABELS_LATE` before, then batch `number`, scanned from `start` to `end`."""
        known = self._labels / f"{_name(number - LABELS_LATE)}.parquet"
        if number > LABELS_LATE and not known.exists():
            digits, _ = self._drawn(number - LABELS_LATE)
            rows = table(_name(number - LABELS_LATE), digits.labels, [b""] * BATCH_ROWS, start=start, end=end)
            _write(known, rows.select(["id", "digit"]))
        digits, rng = self._drawn(number)
        images = scan(digits.images, phase_of(number).scanner, rng)
        rows = table(_name(number), digits.labels, images, start=start, end=end)
        _write(self._incoming / f"{_name(number)}.parquet", rows.drop_columns(["digit"]))

    def _drawn(self, number: int) -> tuple[Digits, np.random.Generator]:
        """The batch's digits: the number alone decides, so that labels need no memory."""
        rng = np.random.default_rng((_SEED, number))
        return self._for_batches.draw(BATCH_ROWS, rng, phase_of(number).shares), rng


def _name(number: int) -> str:
    return f"batch-{number:04d}"


def _write(file: Path, rows: pa.Table) -> None:
    write_atomically(file, lambda out: pq.write_table(rows, out))


def _ticks(seconds: float) -> Iterator[datetime]:
    """Yield the time every so often until standard input is closed."""
    while not select.select([sys.stdin], [], [], seconds)[0]:
        yield datetime.now(UTC)


def feed(
    path: Annotated[Path, typer.Argument(help="The demo's folder.")],
    every: Annotated[float, typer.Option(help="Seconds from batch to batch.")] = 3.0,
) -> None:
    """Deliver batches until standard input is closed."""
    try:
        _feed(Folder(path), every)
    except MonitorError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(exc.exit_code) from None


def _feed(folder: Folder, every_seconds: float) -> None:
    told = None
    for now in _ticks(every_seconds):
        number = folder.next_number
        if (phase := phase_of(number)) is not told:
            typer.echo(phase.announcement)
            sys.stdout.flush()
            told = phase
        folder.release(number, start=now - timedelta(seconds=every_seconds), end=now)


if __name__ == "__main__":
    typer.run(feed)

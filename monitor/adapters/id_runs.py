"""Sorted hashes with their owners, in memory or in a file that is mapped only while it is looked at.

What is mapped counts as memory of the process, and a mapping that stays holds a file handle: neither grows so. The
files are scratch: another process makes its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from monitor.errors import StoreError

Hashes = npt.NDArray[np.uint64]
Owners = npt.NDArray[np.int32]

_PIECE = 2**16  # hashes merged at a time: some MiB, however long the runs are


@dataclass(frozen=True, slots=True)
class Run:
    """(n,) both, sorted by hash."""

    hashes: Hashes
    owners: Owners

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The same in a file: all hashes, then all owners."""

    path: Path
    length: int

    def __len__(self) -> int:
        return self.length

    def opened(self) -> Run:
        """Mapped for as long as the result lives. Raises StoreError."""
        try:
            hashes = np.memmap(self.path, np.uint64, "r", shape=(self.length,))
            owners = np.memmap(self.path, np.int32, "r", offset=hashes.nbytes, shape=(self.length,))
        except (OSError, ValueError) as exc:
            raise StoreError(f"{self.path}: cannot be read: {exc}") from exc
        return Run(hashes.view(np.ndarray), owners.view(np.ndarray))

    def remove(self) -> None:
        with contextlib.suppress(OSError):  # scratch: whoever builds the next index removes what is left
            self.path.unlink()


def merged(runs: Sequence[Run]) -> Run:
    hashes = np.concatenate([run.hashes for run in runs])
    order = np.argsort(hashes, kind="stable")  # linear on what is sorted already, in pieces
    return Run(hashes[order], np.concatenate([run.owners for run in runs])[order])


def stored(runs: Sequence[Run], path: Path) -> StoredRun:
    """All of them as one file; the hashes are evenly spread, so they are merged range by range. Raises OSError."""
    total = sum(map(len, runs))
    run = StoredRun(path, total)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            _write(runs, total, file)
    except OSError:
        run.remove()
        raise
    return run


def _write(runs: Sequence[Run], total: int, file: BinaryIO) -> None:
    pieces = -(-total // _PIECE)
    cuts = np.array([k * 2**64 // pieces for k in range(1, pieces)], np.uint64)
    ends = [[0, *np.searchsorted(run.hashes, cuts).tolist(), len(run)] for run in runs]
    done = 0
    for k in range(pieces):
        spans = [slice(end[k], end[k + 1]) for end in ends]
        piece = merged([Run(run.hashes[at], run.owners[at]) for run, at in zip(runs, spans, strict=True)])
        file.seek(done * piece.hashes.itemsize)
        file.write(piece.hashes.tobytes())
        file.seek(total * piece.hashes.itemsize + done * piece.owners.itemsize)
        file.write(piece.owners.tobytes())
        done += len(piece)

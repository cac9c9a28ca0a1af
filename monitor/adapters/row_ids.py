"""Which collected batch holds a row id: an index that takes 12 bytes per row, nearly all of them on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from monitor.adapters.id_runs import Hashes, Owners, Run, StoredRun, merged, stored
from monitor.errors import StoreError

_IN_MEMORY = 4096  # rows: 48 KiB


def as_ids(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Row ids as one `string` array."""
    text = column.cast(pa.string())
    return text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text


def hash_ids(ids: pa.Array) -> Hashes:
    """64-bit hashes; they differ between versions of polars, so they stay in memory."""
    return pl.Series(values=ids, dtype=pl.String).hash(seed=0).to_numpy()


def digest_ids(ids: pa.Array) -> str:
    """Hash over the ids in order, the same on every machine."""
    lengths = pc.binary_length(ids).to_numpy(zero_copy_only=False).astype("<i4")
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(ids)], pa.int32()), ids), "")[0]
    digest = hashlib.blake2b(lengths.tobytes(), digest_size=16)
    digest.update(joined.as_buffer() or b"")
    return digest.hexdigest()


class IdIndex:
    """Sorted runs of hashes, each more than twice as long as the next: n rows cost O(n log n) in all to add.

    The last few thousand rows are in memory, all others in `folder`, which is the index's own. A hit means that an
    owner probably has the id; only its own ids can tell.
    """

    def __init__(self, folder: Path, *, in_memory: int = _IN_MEMORY) -> None:
        self._folder, self._in_memory = folder, in_memory
        self._stored: list[StoredRun] = []
        self._recent: list[Run] = []
        self._numbers = 0  # of files
        if folder.is_dir():
            for left in folder.iterdir():  # by a process that is gone
                left.unlink(missing_ok=True)

    def add(self, owner: int, hashes: Hashes) -> None:
        """An owner that is gone stays, and is the caller's to ignore."""
        if not len(hashes):
            return
        order = np.argsort(hashes)
        fresh = Run(hashes[order], np.full(len(hashes), owner, np.int32))
        while self._recent and len(self._recent[-1]) <= 2 * len(fresh):
            fresh = merged([self._recent.pop(), fresh])
        self._recent.append(fresh)
        if sum(map(len, self._recent)) > self._in_memory:
            self._store()

    def hits(self, hashes: Hashes) -> tuple[npt.NDArray[np.intp], Owners]:
        """All pairs (position in `hashes`, owner), in order of owner: who was added earlier comes first.

        Raises StoreError when a file is gone.
        """
        positions, owners = [np.empty(0, np.intp)], [np.empty(0, np.int32)]
        order = np.argsort(hashes)  # neighbouring look-ups then touch neighbouring memory
        wanted = hashes[order]
        for run in self._opened(0):
            left = np.searchsorted(run.hashes, wanted, side="left")
            inside = left < len(run)
            inside[inside] = run.hashes[left[inside]] == wanted[inside]
            first = left[inside]
            count = np.searchsorted(run.hashes, wanted[inside], side="right") - first
            positions.append(np.repeat(order[inside], count))
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            owners.append(run.owners[np.repeat(first, count) + within])
        found_positions, found_owners = np.concatenate(positions), np.concatenate(owners)
        by_owner = np.argsort(found_owners, kind="stable")
        return found_positions[by_owner], found_owners[by_owner]

    def _opened(self, first: int) -> Iterator[Run]:
        """What is stored, from the run of that place on, and what is in memory."""
        for each in self._stored[first:]:
            yield each.opened()
        yield from self._recent

    def _store(self) -> None:
        """What is in memory goes to disk; on one that is full it stays, until the next rows try again."""
        kept, total = len(self._stored), sum(map(len, self._recent))
        while kept and len(self._stored[kept - 1]) <= 2 * total:
            kept -= 1
            total += len(self._stored[kept])
        replaced = self._stored[kept:]
        try:
            run = stored(list(self._opened(kept)), self._folder / f"{self._numbers}.run")
        except (OSError, StoreError):
            return
        self._numbers += 1
        self._stored[kept:] = [run]
        self._recent = []
        for old in replaced:
            old.remove()

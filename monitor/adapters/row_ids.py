"""Which collected batch holds a row id: an index in memory that takes 12 bytes per row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
Owners = npt.NDArray[np.int32]


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

    A hit means that an owner probably has the id; only its own ids can tell.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Hashes, Owners]] = []

    def add(self, parts: Sequence[tuple[int, Hashes]]) -> None:
        """Add the hashes of several owners at once; an owner that is gone stays, and is the caller's to ignore."""
        hashes = np.concatenate([h for _, h in parts]) if parts else np.empty(0, np.uint64)
        owners = np.repeat(np.array([o for o, _ in parts], np.int32), [len(h) for _, h in parts])
        while self._runs and len(self._runs[-1][0]) <= 2 * len(hashes):
            older_hashes, older_owners = self._runs.pop()
            hashes, owners = np.concatenate([older_hashes, hashes]), np.concatenate([older_owners, owners])
        if len(hashes):
            order = np.argsort(hashes, kind="stable")  # linear on what is sorted already, in pieces
            self._runs.append((hashes[order], owners[order]))

    def hits(self, hashes: Hashes) -> tuple[npt.NDArray[np.intp], Owners]:
        """All pairs (position in `hashes`, owner), in order of owner: who was added earlier comes first."""
        positions, owners = [np.empty(0, np.intp)], [np.empty(0, np.int32)]
        order = np.argsort(hashes)  # neighbouring look-ups then touch neighbouring memory
        wanted = hashes[order]
        for run_hashes, run_owners in self._runs:
            left = np.searchsorted(run_hashes, wanted, side="left")
            inside = left < len(run_hashes)
            inside[inside] = run_hashes[left[inside]] == wanted[inside]
            first = left[inside]
            count = np.searchsorted(run_hashes, wanted[inside], side="right") - first
            positions.append(np.repeat(order[inside], count))
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            owners.append(run_owners[np.repeat(first, count) + within])
        found_positions, found_owners = np.concatenate(positions), np.concatenate(owners)
        by_owner = np.argsort(found_owners, kind="stable")
        return found_positions[by_owner], found_owners[by_owner]

"""`LabelBook` as Parquet files: staged deliveries and joined batches, with what is pending in memory.

Every step leaves files from which the rest follows: a staged label is settled when the joined label of its row is the
same one or ranks higher, and pending otherwise. So nothing else is stored, and a crash between two files is harmless.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitor.adapters.id_runs import Hashes
from monitor.adapters.label_files import (
    NEVER,
    LabelCodes,
    LabelFiles,
    Staged,
    from_microseconds,
    from_table,
    staged_from,
    to_microseconds,
    to_table,
)
from monitor.adapters.label_merge import LABEL, Labels, is_settled, merge_labels
from monitor.adapters.label_tallies import Tallies, Tally
from monitor.adapters.pending_labels import GONE, UNKNOWN, PendingLabels
from monitor.adapters.row_ids import hash_ids
from monitor.app.ports import CollectedData, LabelCounts
from monitor.domain.label_arrival import Unmatched
from monitor.domain.packed_names import PackedNames


class ParquetLabelBook:
    """One process writes. Safe from any thread. Nothing is read before the first call.

    A delivery that comes again under the same name with other content is staged beside the first one.
    """

    def __init__(self, folder: Path, collected: CollectedData, *, delay: timedelta) -> None:
        self._files = LabelFiles(folder)
        self._collected = collected
        self._delay = delay // timedelta(microseconds=1)
        self._lock = threading.RLock()
        self._seen = 0  # mark of the collected batches when last looked at; 0: the files are to be read again
        self._reset()

    def _reset(self) -> None:
        self._codes = LabelCodes()
        self._deliveries = PackedNames()
        self._pending = PendingLabels()
        self._tallies = Tallies()
        self._gone: Hashes = np.empty(0, np.uint64)  # of ids that had a label in a batch that is not collected now
        self._touched: set[str] = set()  # batches of which another revision may be recorded

    def stage(self, delivery: str, labels: pa.Table, *, arrival: datetime) -> None:
        with self._lock:
            self._refresh()
            staged = staged_from(delivery, labels, arrival)
            if (present := self._files.staged_digest(delivery)) is not None:
                if present == staged.digest:
                    return
                staged = replace(staged, delivery=f"{delivery}@{staged.digest}")
                if self._files.staged_digest(staged.delivery) is not None:
                    return
            self._codes.accept(staged.table["label"].type, file=delivery)
            with self._anew_after_failure():
                self._files.write_staged(staged)
                self._add(staged)

    def join(self, clock: datetime) -> LabelCounts:
        with self._lock:
            self._refresh()
            counts = LabelCounts()
            with self._anew_after_failure():
                for batch, labels in self._pending.due(to_microseconds(clock)).items():
                    counts = self._apply(batch, labels, counts)
                    self._pending.settle(batch, to_microseconds(clock))
            return replace(counts, pending=len(self._pending))

    def next_due(self, after: datetime) -> datetime | None:
        with self._lock:
            self._refresh()
            moment = self._pending.next_due(to_microseconds(after))
            return None if moment is None else from_microseconds(moment)

    def revision(self, batch: str) -> int:
        return self._tally(batch).revision

    def unsettled(self, recorded: Mapping[str, int]) -> Sequence[str]:
        with self._lock:
            self._refresh()
            self._touched = {b for b in self._touched if self._tally(b).revision != recorded.get(b, 0)}
            return sorted(self._touched, key=self._moment)

    def labels(self, batch: str) -> pa.Table:
        """Of type string while nothing was ever staged."""
        with self._lock:
            if self._tally(batch).labelled:
                return self._files.read_joined(batch).select(["id", "label"])
            kind = self._codes.type or pa.string()
            return pa.table({"id": pa.array([], pa.string()), "label": pa.array([], kind)})

    def coverage(self, batch: str) -> float:
        """0 for a batch without rows."""
        tally = self._tally(batch)
        return tally.labelled / tally.rows if tally.rows else 0.0

    def labelled_rows(self) -> Mapping[str, int]:
        with self._lock:
            self._refresh()
            return _LabelledRows(self._collected, self._tallies)

    @property
    def total(self) -> tuple[int, int]:
        with self._lock:
            self._refresh()
            return self._tallies.labelled_rows, self._tallies.labelled_batches

    @property
    def pending(self) -> int:
        with self._lock:
            self._refresh()
            return len(self._pending)

    @property
    def unmatched(self) -> Unmatched:
        with self._lock:
            self._refresh()
            rows, earliest = self._pending.unmatched
            return Unmatched(rows=rows, since=from_microseconds(earliest)) if rows else Unmatched()

    def _tally(self, batch: str) -> Tally:
        with self._lock:
            self._refresh()
            if batch not in self._collected:
                raise LookupError(f"batch {batch!r} is not collected")
            return self._tallies.of(batch)

    def _moment(self, batch: str) -> tuple[datetime, datetime, str]:
        """In the order of batches."""
        window = self._collected.window(batch)
        return window.end, window.start, batch

    def _apply(self, batch: str, new: Labels, counts: LabelCounts) -> LabelCounts:
        """Merge labels into the batch's file and add to the counts."""
        ids = self._collected.ids(batch)
        merged = merge_labels(self._joined(batch, ids), new, self._deliveries.__getitem__)
        tally = Tally(
            rows=len(ids),
            labelled=len(merged.labels),
            revision=self._tallies.of(batch).revision + merged.joined + merged.corrected,
            digest=self._collected.digest(batch),
        )
        self._write(batch, merged.labels, ids, tally)
        return LabelCounts(
            joined=counts.joined + merged.joined,
            duplicate=counts.duplicate + merged.duplicate,
            corrected=counts.corrected + merged.corrected,
        )

    def _write(self, batch: str, labels: Labels, ids: pa.Array, tally: Tally) -> None:
        self._files.write_joined(batch, to_table(labels, ids, self._codes, self._deliveries.__getitem__), tally)
        self._tallies.put(batch, tally)
        self._touched.add(batch)

    def _joined(self, batch: str, ids: pa.Array) -> Labels:
        """What counts for the batch up to now."""
        if not self._tallies.labelled(batch):
            return np.empty(0, LABEL)
        table = self._files.read_joined(batch)
        self._codes.accept(table["label"].type, file=str(self._files.joined_path(batch)))
        return from_table(table, ids, self._codes, self._number)

    def _number(self, delivery: str) -> int:
        number = self._deliveries.find(delivery)
        return self._deliveries.append(delivery) if number is None else number

    def _refresh(self) -> None:
        """Take note of batches that were collected, written anew or discarded since the last call."""
        mark, fresh = self._collected.changes(self._seen)
        if mark == self._seen:
            return
        with self._anew_after_failure():
            if fresh is None or any(self._files.joined_path(batch).exists() for batch in fresh):
                self._rebuild()
            else:
                for batch in fresh:
                    self._locate(batch)
                    self._touched.add(batch)
        self._seen = mark

    @contextmanager
    def _anew_after_failure(self) -> Iterator[None]:
        """What is in memory may be half done after an error; the files never are, so the next call reads them."""
        try:
            yield
        except BaseException:
            self._seen = 0
            raise

    def _rebuild(self) -> None:
        """Read all files; labels joined to a batch that is gone are pending again."""
        self._reset()
        batches = {batch: self._collected.digest(batch) for batch in self._collected.batches()}
        every = self._files.tallies()
        tallies = {batch: tally for batch, tally in every.items() if batch in batches}
        self._tallies = Tallies(tallies)
        gone = [hash_ids(self._files.joined_ids(batch)) for batch in every if batch not in batches]
        self._gone = np.concatenate([self._gone, *gone])
        for batch, tally in tallies.items():
            if tally.digest != batches[batch]:
                self._realign(batch, tally)
        self._touched = set(batches)
        for staged in self._files.all_staged():
            self._codes.accept(staged.table["label"].type, file=str(self._files.staged_path(staged.delivery)))
            self._add(staged, check=True)

    def _realign(self, batch: str, tally: Tally) -> None:
        """The batch was written anew with other rows: keep the labels of those that it still has."""
        ids = self._collected.ids(batch)
        kept = self._joined(batch, ids)
        kept = kept[np.argsort(kept["row"])]
        digest = self._collected.digest(batch)
        anew = Tally(rows=len(ids), labelled=len(kept), revision=tally.revision + 1, digest=digest)
        self._write(batch, kept, ids, anew)

    def _add(self, staged: Staged, *, check: bool = False) -> None:
        """Put a delivery's labels among the pending ones; with `check`, only those that are not settled."""
        ids = staged.ids
        labels = np.empty(len(ids), LABEL)
        labels["row"] = UNKNOWN
        labels["value"] = self._codes.encode(staged.table["label"].combine_chunks())
        labels["due"] = staged.available
        labels["arrival"] = to_microseconds(staged.arrival)
        labels["delivery"] = self._number(staged.delivery)
        labels["position"] = np.arange(len(ids))
        located = self._collected.duplicates("", ids)
        at = np.fromiter(located.keys(), np.int64, len(located))
        holders = np.array(list(located.values()), dtype=object)
        for batch in dict.fromkeys(located.values()):
            mine = at[holders == batch]
            own_ids = self._collected.ids(batch)
            self._place(batch, labels[mine], ids.take(pa.array(mine)), own_ids, check=check)
        elsewhere = np.ones(len(ids), bool)
        elsewhere[at] = False
        waiting, hashes = labels[elsewhere], hash_ids(ids.filter(pa.array(elsewhere)))
        waiting["row"][np.isin(hashes, self._gone)] = GONE  # for a count: a hash that two ids share does no harm
        self._pending.wait(waiting, hashes)

    def _place(self, batch: str, labels: Labels, ids: pa.Array, own_ids: pa.Array, *, check: bool) -> None:
        """Pend labels whose rows are in `batch`, now that their row and moment are known."""
        labels["row"] = pc.index_in(ids, value_set=own_ids).to_numpy()
        end = to_microseconds(self._collected.window(batch).end) + self._delay
        labels["due"] = _due(labels, end)
        if check:
            labels = labels[~is_settled(labels, self._joined(batch, own_ids), self._deliveries.__getitem__)]
        self._pending.place(batch, labels)

    def _locate(self, batch: str) -> None:
        """Look among the labels that came before their rows for those of a newly collected batch."""
        if not self._pending.waits:
            return
        own_ids = self._collected.ids(batch)
        positions = self._pending.candidates(hash_ids(own_ids))
        labels = self._pending.waiting(positions) if len(positions) else np.empty(0, LABEL)
        placed = np.zeros(len(labels), bool)
        for number in np.unique(labels["delivery"]):
            mine = np.flatnonzero(labels["delivery"] == number)
            staged_ids = self._files.staged_ids(self._deliveries[number])
            ids = staged_ids.take(pa.array(labels["position"][mine]))
            same = pc.is_in(ids, value_set=own_ids)
            placed[mine] = found = same.to_numpy(zero_copy_only=False)
            self._place(batch, labels[mine[found]], ids.filter(same), own_ids, check=False)
        self._pending.drop_waiting(positions[placed])


class _LabelledRows(Mapping[str, int]):
    """Counted when they are asked for: nothing is held per batch."""

    def __init__(self, collected: CollectedData, tallies: Tallies) -> None:
        self._collected, self._tallies = collected, tallies

    def __getitem__(self, batch: str) -> int:
        if batch not in self._collected:
            raise KeyError(batch)
        return self._tallies.labelled(batch)

    def __iter__(self) -> Iterator[str]:
        return iter(self._collected.batches())

    def __len__(self) -> int:
        return len(self._collected.batches())


def _due(labels: Labels, latest: int) -> npt.NDArray[np.int64]:
    """`available_at` where given, else the arrival or `latest`, whichever is earlier."""
    from_arrival = np.minimum(labels["arrival"], latest)
    due: npt.NDArray[np.int64] = np.where(labels["due"] == NEVER, from_arrival, labels["due"])
    return due

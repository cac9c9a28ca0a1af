"""The ports `Store`, `CollectedData` and `LabelBook` in dictionaries, held to the same contracts as the real ones."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from monitor.adapters.process_identity import is_alive
from monitor.adapters.store.encoding import from_json, to_json
from monitor.app.ports import CollectedData, LabelCounts
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, LedgerEntry, Window, aware
from monitor.domain.label_arrival import Unmatched
from monitor.domain.model import Scores
from monitor.domain.version import Alias, AliasMove, Manifest
from monitor.errors import BusyError, DataError, StoreError


@dataclass
class Tables:
    ledger: dict[int, LedgerEntry] = field(default_factory=dict)
    claims: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    records: dict[tuple[str, str], str] = field(default_factory=dict)
    measures: dict[tuple[str, str], str] = field(default_factory=dict)
    states: dict[tuple[str, str], bytes] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    manifests: dict[tuple[str, int], str] = field(default_factory=dict)
    moves: list[tuple[str, AliasMove]] = field(default_factory=list)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)


class FakeTransaction:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.states: dict[tuple[str, str], bytes] = {}
        self.moved = False

    def guard(self, lease: str, *, owner: str) -> None:
        if self._tables.leases.get(lease, ("", None))[0] != owner:
            raise BusyError(f"lease {lease} was lost")

    def finish(self, entry_id: int, state: DeliveryState, *, reason: str = "", window: Window | None = None) -> None:
        if (entry := self._tables.ledger.get(entry_id)) is None:
            raise LookupError(f"no ledger entry {entry_id}")
        if entry.state not in (DeliveryState.SEEN, DeliveryState.CLAIMED):
            raise BusyError(f"ledger entry {entry_id} is {entry.state} already")
        self._tables.ledger[entry_id] = replace(entry, state=state, reason=reason, window=window or entry.window)
        self._tables.claims.pop(entry_id, None)

    def put_record(self, deployment: str, batch: str, record: Mapping[str, Any]) -> None:
        self._tables.records[deployment, batch] = to_json(record)

    def put_measures(self, deployment: str, batch: str, measures: Sequence[Mapping[str, Any]]) -> None:
        self._tables.measures[deployment, batch] = to_json(measures)

    def put_state(self, deployment: str, key: str, body: bytes) -> None:
        self._tables.states[deployment, key] = self.states[deployment, key] = bytes(body)

    def add_event(self, deployment: str, at: datetime, event: str, body: Mapping[str, Any]) -> None:
        if body.keys() & {"number", "at", "event"}:
            raise ValueError("reserved keys")
        head = {"number": len(self._tables.events) + 1, "at": aware(at).astimezone(UTC).isoformat(), "event": event}
        self._tables.events.append((deployment, event, to_json({**head, **body})))

    def add_version(self, manifest: Manifest) -> None:
        key = manifest.deployment, manifest.version
        if key in self._tables.manifests:
            raise StoreError(f"version {manifest.version} is there already")
        self._tables.manifests[key] = to_json(manifest.to_dict())

    def move_alias(self, deployment: str, move: AliasMove) -> None:
        if move.version is not None and (deployment, move.version) not in self._tables.manifests:
            raise StoreError(f"no version {move.version}")
        if current_alias(self._tables, deployment, move.alias) != move.previous:
            raise BusyError(f"{move.alias} is not version {move.previous} any more")
        self.moved = True
        self._tables.moves.append((deployment, replace(move, at=aware(move.at).astimezone(UTC))))


def current_alias(tables: Tables, deployment: str, alias: Alias) -> int | None:
    moves = [move for name, move in tables.moves if name == deployment and move.alias == alias]
    return moves[-1].version if moves else None


class FakeStore:
    def __init__(self) -> None:
        self._tables = Tables()
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[FakeTransaction]:
        with self._lock:
            draft = copy.deepcopy(self._tables)
            yield FakeTransaction(draft)
            self._tables = draft

    def entries(self, deployment: str, kind: DeliveryKind, *, after: int = 0) -> Sequence[LedgerEntry]:
        entries = self._tables.ledger.values()
        return [e for e in entries if e.deployment == deployment and e.kind == kind and e.id > after]

    def latest_entries(
        self, deployment: str, kind: DeliveryKind, *, last: int, before: int | None = None
    ) -> Sequence[LedgerEntry]:
        found = [entry for entry in self.entries(deployment, kind) if before is None or entry.id < before]
        return _newest(found, last)

    def matching(
        self, deployment: str, kind: DeliveryKind, *, locator: str = "", fingerprint: str = "", name: str = ""
    ) -> Sequence[LedgerEntry]:
        every = self.entries(deployment, kind)
        asked = {("locator", locator), ("fingerprint", fingerprint), ("name", name)}
        return [e for e in every if any(value and getattr(e, column) == value for column, value in asked)]

    def count_waiting(self, deployment: str, kind: DeliveryKind) -> int:
        waiting = (DeliveryState.SEEN, DeliveryState.CLAIMED)
        return sum(entry.state in waiting for entry in self.entries(deployment, kind))

    def arrivals(self, deployment: str, kind: DeliveryKind, *, last: int) -> list[datetime]:
        copies = (DeliveryState.DUPLICATE, DeliveryState.REPLACED)
        return [e.modified for e in reversed(self.entries(deployment, kind)) if e.state not in copies][:last]

    def see(self, deployment: str, kind: DeliveryKind, delivery: Delivery, fingerprint: str) -> LedgerEntry:
        with self._lock:
            ledger = self._tables.ledger
            found = [
                e
                for e in self.entries(deployment, kind)
                if (e.locator, e.fingerprint) == (delivery.locator, fingerprint)
            ]
            entry = (
                found[0]
                if found
                else LedgerEntry(
                    id=len(ledger) + 1,
                    deployment=deployment,
                    kind=kind,
                    locator=delivery.locator,
                    fingerprint=fingerprint,
                    name=delivery.name,
                    size=delivery.size,
                    modified=delivery.modified,
                    state=DeliveryState.SEEN,
                )
            )
            ledger[entry.id] = replace(entry, size=delivery.size, modified=delivery.modified.astimezone(UTC))
            return ledger[entry.id]

    def claim(self, entry_id: int, *, owner: str, until: datetime) -> bool:
        with self._lock:
            if (entry := self._tables.ledger.get(entry_id)) is None:
                raise LookupError(f"no ledger entry {entry_id}")
            held = _holder(self._tables.claims.get(entry_id), asker=owner, now=datetime.now(UTC))
            if held or entry.state not in (DeliveryState.SEEN, DeliveryState.CLAIMED):
                return False
            self._tables.claims[entry_id] = (owner, aware(until))
            self._tables.ledger[entry_id] = replace(entry, state=DeliveryState.CLAIMED)
            return True

    def acquire_lease(self, name: str, *, owner: str, now: datetime, until: datetime) -> str | None:
        with self._lock:
            if holder := _holder(self._tables.leases.get(name), asker=owner, now=aware(now)):
                return holder
            self._tables.leases[name] = (owner, aware(until))
            return None

    def lease_holder(self, name: str, *, now: datetime) -> str | None:
        return _holder(self._tables.leases.get(name), asker="", now=aware(now))

    def release_lease(self, name: str, *, owner: str) -> None:
        with self._lock:
            if self._tables.leases.get(name, ("", None))[0] == owner:
                del self._tables.leases[name]

    def records(self, deployment: str, *, last: int | None = None, before: str | None = None) -> list[dict[str, Any]]:
        found = {batch: from_json(body) for (name, batch), body in self._tables.records.items() if name == deployment}
        batches = list(found)
        end = len(batches) if before is None else batches.index(before) if before in found else 0
        return _newest([found[batch] for batch in batches[:end]], last)

    def record(self, deployment: str, batch: str) -> dict[str, Any] | None:
        body = self._tables.records.get((deployment, batch))
        return None if body is None else from_json(body)

    def measures(self, deployment: str, batch: str) -> list[dict[str, Any]]:
        return from_json(self._tables.measures.get((deployment, batch), "[]"))

    def events(
        self, deployment: str, *, event: str | None = None, last: int | None = None, before: int | None = None
    ) -> list[dict[str, Any]]:
        wanted = [b for name, kind, b in self._tables.events[: before and before - 1] if name == deployment]
        found = [body for body in map(from_json, wanted) if event in (None, body["event"])]
        return _newest(found, last)

    def count_records(self, deployment: str) -> int:
        return len(self.records(deployment))

    def state(self, deployment: str, key: str) -> bytes | None:
        return self._tables.states.get((deployment, key))

    def manifests(self, deployment: str) -> list[Manifest]:
        mine = sorted(key for key in self._tables.manifests if key[0] == deployment)
        return [Manifest.from_dict(from_json(self._tables.manifests[key])) for key in mine]

    def manifest(self, deployment: str, version: int) -> Manifest | None:
        return next((m for m in self.manifests(deployment) if m.version == version), None)

    def next_version(self, deployment: str) -> int:
        return max((m.version for m in self.manifests(deployment)), default=0) + 1

    def alias(self, deployment: str, alias: Alias) -> int | None:
        return current_alias(self._tables, deployment, alias)

    def alias_history(self, deployment: str, alias: Alias) -> list[AliasMove]:
        return [move for name, move in self._tables.moves if name == deployment and move.alias == alias]

    def ping(self) -> None:
        return None

    def close(self) -> None:
        return None


def _holder(held: tuple[str, datetime] | None, *, asker: str, now: datetime) -> str | None:
    if held is None or held[0] == asker or held[1] <= now or not is_alive(held[0]):
        return None
    return held[0]


def _newest(found: list[Any], last: int | None) -> list[Any]:
    return found if last is None else found[max(len(found) - last, 0) :]


@dataclass(frozen=True)
class _Batch:
    window: Window
    rows: pa.Table
    scores: Scores
    classes: tuple[str, ...]
    beside: Mapping[str, Scores]


class FakeCollectedData:
    def __init__(self) -> None:
        self._batches: dict[str, _Batch] = {}
        self._collected: list[str | None] = [None]  # in this order; None: what came before counts no more
        self.quarantined: dict[str, pa.Table] = {}

    def duplicates(self, batch: str, ids: pa.Array) -> Mapping[int, str]:
        holder: dict[str, str] = {}
        for other in self._batches:
            if other != batch:
                holder |= {row: other for row in self.ids(other).to_pylist() if row not in holder}
        return {i: holder[row] for i, row in enumerate(ids.to_pylist()) if row in holder}

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
        expected = (rows.num_rows, len(classes)) if classes else (rows.num_rows,)
        if scores.shape != expected:
            raise ValueError(f"scores have shape {scores.shape}, expected {expected}")
        before = (self.window(batch), self.digest(batch)) if batch in self._batches else None
        self._batches.pop(batch, None)
        self._batches[batch] = _Batch(window, rows, scores.copy(), tuple(classes), dict(beside or {}))
        if before != (window, self.digest(batch)):
            self._collected += [batch] if before is None else [None, batch]

    def discard(self, batch: str) -> None:
        if self._batches.pop(batch, None) is not None:
            self._collected.append(None)

    def __contains__(self, batch: object) -> bool:
        return batch in self._batches

    def changes(self, since: int) -> tuple[int, Sequence[str] | None]:
        later = self._collected[since:]
        return len(self._collected), None if None in later else [batch for batch in later if batch is not None]

    def batches(self, last: int | None = None) -> Sequence[str]:
        batches = sorted(self._batches, key=lambda b: (self._batches[b].window.end, self._batches[b].window.start, b))
        return batches if last is None else batches[max(0, len(batches) - last) :]

    def window(self, batch: str) -> Window:
        return self._batch(batch).window

    def ids(self, batch: str) -> pa.Array:
        return pa.array(self._batch(batch).rows.column(0).to_pylist(), pa.string())

    def digest(self, batch: str) -> str:
        return hashlib.sha256("\n".join(self.ids(batch).to_pylist()).encode()).hexdigest()

    def read(self, batch: str) -> pa.Table:
        found = self._batch(batch)
        table = found.rows
        for prefix, scores in {"score:": found.scores, **found.beside}.items():
            columns = scores.T if found.classes else [scores]
            for name, column in zip(found.classes or ("value",), columns, strict=True):
                table = table.append_column(f"{prefix}{name}", pa.array(np.ascontiguousarray(column)))
        return table

    def scores(self, batch: str) -> Scores:
        return self._batch(batch).scores.copy()

    def quarantine(self, delivery: str, rejected: pa.Table) -> Path | None:
        if not rejected.num_rows:
            return None
        self.quarantined[delivery] = rejected
        return Path("quarantine") / delivery

    def _batch(self, batch: str) -> _Batch:
        if batch not in self._batches:
            raise LookupError(f"batch {batch!r} is not collected")
        return self._batches[batch]


@dataclass(frozen=True)
class _Label:
    id: str
    label: Any
    available: datetime | None
    rank: tuple[datetime, str, int]  # arrival, delivery, place


class FakeLabelBook:
    """Judges every staged label anew at each call, by the plain words of the port."""

    def __init__(self, collected: CollectedData, *, delay: timedelta) -> None:
        self._collected = collected
        self._delay = delay
        self._staged: dict[str, pa.Table] = {}
        self._pending: list[_Label] = []
        self._joined: dict[str, tuple[Any, tuple[Any, ...]]] = {}  # id → label, its rank
        self._revision: dict[str, int] = {}
        self._type: pa.DataType | None = None

    def stage(self, delivery: str, labels: pa.Table, *, arrival: datetime) -> None:
        aware(arrival)
        if delivery in self._staged:
            if self._staged[delivery].equals(labels):
                return
            digest = hashlib.sha256(repr(labels.to_pydict()).encode()).hexdigest()
            return self.stage(f"{delivery}@{digest}", labels, arrival=arrival)
        if labels["label"].null_count or labels["id"].null_count:
            raise DataError("label or id is missing", file=delivery)
        if self._type not in (None, labels["label"].type):
            raise DataError("labels of another type", file=delivery, column="label")
        self._type = labels["label"].type
        self._staged[delivery] = labels
        for place, row in enumerate(labels.to_pylist()):
            label = _Label(row["id"], row["label"], row["available_at"], (arrival, delivery, place))
            self._pending.append(label)
        return None

    def join(self, clock: datetime) -> LabelCounts:
        owner = self._owners()
        due = {label: self._due(label, owner) for label in self._pending}
        now = [label for label, moment in due.items() if moment is not None and moment <= clock]
        counts = {"joined": 0, "duplicate": 0, "corrected": 0}
        for label in sorted(now, key=lambda x: (due[x], x.rank)):
            rank, present = (due[label], label.rank), self._joined.get(label.id)
            kind = "joined" if present is None else "duplicate" if present[0] == label.label else "corrected"
            counts[kind] += 1
            if present is None or present[1] < rank:
                self._joined[label.id] = (label.label, rank)
            if kind != "duplicate":
                self._revision[owner[label.id]] = self._revision.get(owner[label.id], 0) + 1
            self._pending.remove(label)
        return LabelCounts(**counts, pending=len(self._pending))

    def next_due(self, after: datetime) -> datetime | None:
        owner = self._owners()
        moments = [self._due(label, owner) for label in self._pending]
        return min((m for m in moments if m is not None and m > after), default=None)

    def revision(self, batch: str) -> int:
        self._collected.ids(batch)
        return self._revision.get(batch, 0)

    def unsettled(self, recorded: Mapping[str, int]) -> Sequence[str]:
        every = self._collected.batches()
        return [batch for batch in every if self._revision.get(batch, 0) != recorded.get(batch, 0)]

    def labels(self, batch: str) -> pa.Table:
        ids = [row for row in self._collected.ids(batch).to_pylist() if row in self._joined]
        kind = self._type or pa.string()
        return pa.table({"id": pa.array(ids, pa.string()), "label": pa.array([self._joined[i][0] for i in ids], kind)})

    def coverage(self, batch: str) -> float:
        rows = len(self._collected.ids(batch))
        return self.labels(batch).num_rows / rows if rows else 0.0

    def labelled_rows(self) -> Mapping[str, int]:
        return {batch: self.labels(batch).num_rows for batch in self._collected.batches()}

    @property
    def total(self) -> tuple[int, int]:
        labelled = [rows for rows in self.labelled_rows().values() if rows]
        return sum(labelled), len(labelled)

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def unmatched(self) -> Unmatched:
        owner = self._owners()
        arrivals = [label.rank[0] for label in self._pending if label.id not in owner and label.id not in self._joined]
        return Unmatched(rows=len(arrivals), since=min(arrivals, default=None))

    def _owners(self) -> dict[str, str]:
        return {row: batch for batch in self._collected.batches() for row in self._collected.ids(batch).to_pylist()}

    def _due(self, label: _Label, owner: Mapping[str, str]) -> datetime | None:
        if label.id not in owner:
            return None
        latest = self._collected.window(owner[label.id]).end + self._delay
        return label.available or min(label.rank[0], latest)


def rows_of(ids: Sequence[str], **columns: Any) -> pa.Table:
    """A validated batch: the id column, then features."""
    return pa.table({"id": pa.array(ids, pa.string()), **columns})


def labels_of(
    labels: Mapping[str, Any] | Sequence[tuple[str, Any]],
    *,
    available: datetime | Sequence[datetime | None] | None = None,
) -> pa.Table:
    """A label delivery; `available` holds for all of its rows, or for one each."""
    pairs = list(labels.items() if isinstance(labels, Mapping) else labels)
    values = [label for _, label in pairs]
    moments = available if isinstance(available, Sequence) else [available] * len(pairs)
    kind = pa.float64() if values and isinstance(values[0], float) else pa.string()
    return pa.table(
        {
            "id": pa.array([row for row, _ in pairs], pa.string()),
            "label": pa.array(values, kind),
            "available_at": pa.array(moments, pa.timestamp("us", "UTC")),
        }
    )

"""From files lying at a source to entries in the ledger: what is new, what came twice, what was replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.app.ports import BatchSource, LabelSource
from monitor.app.runtime import Runtime
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, LedgerEntry, Window
from monitor.errors import SourceError

_SETTLED = (DeliveryState.DONE, DeliveryState.BAD, DeliveryState.DUPLICATE, DeliveryState.REPLACED)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery to be worked on. The entry's `name` is the batch id."""

    delivery: Delivery
    entry: LedgerEntry
    window: Window


def waiting_batches(rt: Runtime, now: datetime) -> list[Waiting]:
    """Enter what is new into the ledger; return what is to be judged, in order of event time."""
    waiting = [
        Waiting(delivery, entry, rt.batches.window(delivery))
        for delivery, entry in _enter(rt, DeliveryKind.BATCH, rt.batches, now)
    ]
    return sorted(waiting, key=lambda w: (w.window.end, w.window.start, w.entry.name))


def waiting_labels(rt: Runtime, now: datetime) -> list[tuple[Delivery, LedgerEntry]]:
    """The same for labels, in the order of arrival."""
    if rt.labels is None:
        return []
    found = _enter(rt, DeliveryKind.LABELS, rt.labels, now)
    return sorted(found, key=lambda pair: (pair[0].modified, pair[0].name))


def enter_labels(rt: Runtime, source: LabelSource, delivery: Delivery) -> LedgerEntry:
    """Enter one label file that an operator points at; its state tells whether it was there before."""
    entries = rt.store.entries(rt.name, DeliveryKind.LABELS)
    return _see(rt, DeliveryKind.LABELS, delivery, source.fingerprint(delivery), entries)


def _enter(
    rt: Runtime, kind: DeliveryKind, source: BatchSource | LabelSource, now: datetime
) -> Iterator[tuple[Delivery, LedgerEntry]]:
    entries = list(rt.store.entries(rt.name, kind))
    for delivery in source.deliveries():
        same_file = [e for e in entries if e.locator == delivery.locator]
        unchanged = next((e for e in same_file if (e.size, e.modified) == (delivery.size, delivery.modified)), None)
        if unchanged is not None and unchanged.state in _SETTLED:
            continue
        try:
            if not source.is_complete(delivery, now=now):
                continue
            entry = _see(rt, kind, delivery, source.fingerprint(delivery), entries)
        except SourceError as exc:
            rt.log.warning("delivery_unreadable", deployment=rt.name, delivery=delivery.name, error=str(exc))
            rt.unreadable.append(exc)
            continue
        if entry not in entries:
            entries.append(entry)
        if entry.state not in _SETTLED:
            yield delivery, entry


def _see(
    rt: Runtime, kind: DeliveryKind, delivery: Delivery, fingerprint: str, entries: Sequence[LedgerEntry]
) -> LedgerEntry:
    """Enter one complete delivery, and settle at once the one that must not be judged."""
    known = next((e for e in entries if e.locator == delivery.locator and e.fingerprint == fingerprint), None)
    if known is not None:
        return rt.store.see(rt.name, kind, replace(delivery, name=known.name), fingerprint)
    original = next(
        (e for e in entries if e.fingerprint == fingerprint and e.state is not DeliveryState.REPLACED), None
    )
    earlier = next((e for e in entries if e.locator == delivery.locator and e.state in _SETTLED), None)
    taken = any(e.name == delivery.name for e in entries)
    name = f"{delivery.name}~{fingerprint[:8]}" if taken else delivery.name
    entry = rt.store.see(rt.name, kind, replace(delivery, name=name), fingerprint)
    if original is not None and not _was_empty(rt, original):
        reason = f"same content as {original.locator}"
        return _settle(rt, entry, DeliveryState.DUPLICATE, f"{kind.value}_duplicate", reason)
    if earlier is not None and kind is DeliveryKind.BATCH:
        reason = f"{delivery.locator} was processed before with other content; give new rows a new name"
        return _settle(rt, entry, DeliveryState.REPLACED, "batch_replaced", reason)
    for stale in entries:  # replaced before it was judged: the new content is the batch
        if stale.locator == delivery.locator and stale.state not in _SETTLED:
            _settle(rt, stale, DeliveryState.REPLACED, "batch_replaced", "replaced before it was judged")
    return entry


def _was_empty(rt: Runtime, original: LedgerEntry) -> bool:
    """Did it hold no rows? Then equal content says nothing: every empty hour looks like every other."""
    record = rt.store.record(rt.name, original.name) if original.kind is DeliveryKind.BATCH else None
    return record is not None and record["rows"] + record["quarantined"] == 0


def _settle(rt: Runtime, entry: LedgerEntry, state: DeliveryState, event: str, reason: str) -> LedgerEntry:
    with rt.transaction() as tx:
        tx.finish(entry.id, state, reason=reason)
        tx.add_event(rt.name, rt.clock(), event, {"delivery": entry.name, "reason": reason})
    rt.log.warning(event, deployment=rt.name, delivery=entry.name, reason=reason)
    return replace(entry, state=state, reason=reason)

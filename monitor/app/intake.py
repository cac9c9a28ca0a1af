"""From files lying at a source to entries in the ledger: what is new, what came twice, what was replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.app.known_deliveries import SETTLED, KnownDeliveries
from monitor.app.ports import BatchSource, LabelSource
from monitor.app.runtime import Runtime
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, LedgerEntry, Window
from monitor.errors import SourceError


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
    return _see(rt, DeliveryKind.LABELS, delivery, source.fingerprint(delivery))


def _known(rt: Runtime, kind: DeliveryKind) -> KnownDeliveries:
    if (known := rt.ledger.get(kind)) is None:
        known = rt.ledger[kind] = KnownDeliveries(rt.store.entries(rt.name, kind))
    return known


def _enter(
    rt: Runtime, kind: DeliveryKind, source: BatchSource | LabelSource, now: datetime
) -> Iterator[tuple[Delivery, LedgerEntry]]:
    known = _known(rt, kind)
    try:
        lying = source.deliveries(known.is_settled)
    except SourceError as exc:  # a folder of labels that is not there must not keep batches from being judged
        rt.unreadable.append(exc)
        return
    for delivery in sorted(lying, key=lambda d: (d.modified, d.locator)):  # of two alike the first is the original
        try:
            if not source.is_complete(delivery, now=now):
                continue
            entry = _see(rt, kind, delivery, source.fingerprint(delivery))
        except SourceError as exc:
            rt.log.warning("delivery_unreadable", deployment=rt.name, delivery=delivery.name, error=str(exc))
            rt.unreadable.append(exc)
            continue
        if entry.state in SETTLED:
            known.settle(entry)
        else:
            yield delivery, entry


def _see(rt: Runtime, kind: DeliveryKind, delivery: Delivery, fingerprint: str) -> LedgerEntry:
    """Enter one complete delivery, and settle at once the one that must not be judged."""
    alike = rt.store.matching(rt.name, kind, locator=delivery.locator, fingerprint=fingerprint, name=delivery.name)
    same_file = [e for e in alike if e.locator == delivery.locator]
    same = next((e for e in same_file if e.fingerprint == fingerprint), None)
    if same is not None:
        return rt.store.see(rt.name, kind, replace(delivery, name=same.name), fingerprint)
    same_content = (e for e in alike if e.fingerprint == fingerprint)
    original = next((e for e in same_content if e.state is not DeliveryState.REPLACED), None)
    earlier = next((e for e in same_file if e.state in SETTLED), None)
    name = f"{delivery.name}~{fingerprint[:8]}" if any(e.name == delivery.name for e in alike) else delivery.name
    entry = rt.store.see(rt.name, kind, replace(delivery, name=name), fingerprint)
    if original is not None and not _was_empty(rt, original):
        reason = f"same content as {original.locator}"
        return _settle(rt, entry, DeliveryState.DUPLICATE, f"{kind.value}_duplicate", reason)
    if earlier is not None and kind is DeliveryKind.BATCH:
        reason = f"{delivery.locator} was processed before with other content; give new rows a new name"
        return _settle(rt, entry, DeliveryState.REPLACED, "batch_replaced", reason)
    for stale in same_file:  # replaced before it was judged: the new content is the batch
        if stale.state not in SETTLED:
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

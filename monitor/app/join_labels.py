"""Take label deliveries in: what is no label goes to quarantine, the rest waits to be due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from monitor.app.intake import waiting_labels
from monitor.app.ports import LabelSource, Validated
from monitor.app.runtime import Runtime
from monitor.domain.batch import Delivery, DeliveryState, LedgerEntry
from monitor.errors import DataError

STAGED, REFUSED = "labels", "delivery_bad"  # in journal and log


def stage_labels(rt: Runtime, now: datetime) -> None:
    """Take every new label delivery in."""
    if rt.labels is None:
        return
    for delivery, entry in waiting_labels(rt, now):
        try:
            stage_delivery(rt, rt.labels, delivery, entry, now=now)
        except DataError as exc:
            refuse_delivery(rt, entry, exc, now=now)
            rt.log.warning(REFUSED, deployment=rt.name, delivery=entry.name, reason=str(exc))


def refuse_delivery(rt: Runtime, entry: LedgerEntry, why: DataError, *, now: datetime) -> None:
    """It is never looked at again; whoever calls this tells why."""
    _settle(rt, entry, DeliveryState.BAD, now, {"reason": str(why)})


def stage_delivery(
    rt: Runtime, source: LabelSource, delivery: Delivery, entry: LedgerEntry, *, now: datetime
) -> Validated:
    """Rows that are no labels go to quarantine, the rest waits to be due. Raises DataError for a file that is none."""
    validated = source.read(delivery, now=now)
    rt.collected.quarantine(f"labels/{entry.name}", validated.rejected)
    rt.book.stage(entry.name, validated.rows, arrival=min(delivery.modified, now))
    body = {
        "rows": validated.rows.num_rows,
        "rejected": validated.rejected.num_rows,
        "reasons": dict(Counter(validated.rejected.column("reason").to_pylist())),
        "notes": list(validated.notes),
    }
    _settle(rt, entry, DeliveryState.DONE, now, body)
    log = rt.log.warning if validated.rejected.num_rows else rt.log.info
    log(STAGED, deployment=rt.name, delivery=entry.name, **body)
    return validated


def _settle(rt: Runtime, entry: LedgerEntry, state: DeliveryState, now: datetime, body: Mapping[str, Any]) -> None:
    event = STAGED if state is DeliveryState.DONE else REFUSED
    with rt.transaction() as tx:
        tx.finish(entry.id, state, reason=str(body.get("reason", "")))
        tx.add_event(rt.name, now, event, {"delivery": entry.name, **body})
    rt.settled(entry)

"""What is older than the operator wants it kept is removed, once a day; what a version was trained on stays with it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.app.measures_of import keep_measures
from monitor.app.memory import RetrainMemory
from monitor.app.runtime import Runtime
from monitor.domain.batch import DeliveryKind, DeliveryState

_DAILY = timedelta(days=1)
_GOING = "expiring"  # state key: batches whose rows are being removed, and count as used no longer
_OPEN = (DeliveryState.SEEN, DeliveryState.CLAIMED)


def expire_daily(rt: Runtime, now: datetime) -> None:
    """Once a day, and at the first pass of a process. The caller holds the lease."""
    if rt.expired is None or now - rt.expired >= _DAILY:
        expire(rt, now)
        rt.expired = now


def expire(rt: Runtime, now: datetime) -> dict[str, int]:
    """Remove what is due; returns the number of files per kind, which also go to journal and log when there are any."""
    retain, removed = rt.config.retain, dict.fromkeys(("rows", "reports", "quarantine", "pushed"), 0)
    if retain.rows is not None:
        removed["rows"] = _expire_rows(rt, now - retain.rows)
    if retain.reports is not None:
        removed["reports"] = rt.expiry.remove_reports(now - retain.reports)
    if retain.quarantine is not None:
        removed["quarantine"] = rt.expiry.remove_quarantine(now - retain.quarantine)
    for kind in DeliveryKind:
        settled = {entry.name for entry in rt.store.entries(rt.name, kind) if entry.state not in _OPEN}
        removed["pushed"] += rt.expiry.remove_pushed(kind, now - retain.pushed, settled)
    if any(removed.values()):
        with rt.transaction() as tx:
            tx.add_event(rt.name, now, "expired", removed)
        rt.log.info("expired", deployment=rt.name, **removed)
    return removed


def _expire_rows(rt: Runtime, before: datetime) -> int:
    """The count of labels that attempts have used goes down with the rows, or new ones would seem to be old.

    It goes down first, and once: for which batches it did is remembered until their rows are gone, whatever ends the
    process, or fails, in between.
    """
    keep = {batch for manifest in rt.store.manifests(rt.name) for batch in manifest.lineage.batches}
    going = [batch for batch in rt.expiry.batches(before) if batch not in keep]
    if not going:
        return 0
    keep_measures(rt, going)
    labelled = rt.book.labelled_rows()
    counted = set(json.loads(rt.kept.state(rt.name, _GOING) or b"[]"))
    rows = [labelled[batch] for batch in going if labelled.get(batch) and batch not in counted]
    memory = RetrainMemory.load(rt.kept, rt.name)
    memory = replace(
        memory,
        rows_used=max(0, memory.rows_used - sum(rows)),
        batches_used=max(0, memory.batches_used - len(rows)),
    )
    with rt.transaction() as tx:
        memory.save(tx, rt.name)
        tx.put_state(rt.name, _GOING, json.dumps(going).encode())
    removed = rt.expiry.remove_rows(before, keep)
    with rt.transaction() as tx:
        tx.put_state(rt.name, _GOING, b"[]")
    rt.collected, rt.book = rt.open_data()  # they hold in memory what was there
    for batch in going:
        rt.revisions.pop(batch, None)
    return removed

"""Labels come whenever they come: stage them, join what is due, restate the windows they belong to.

A window is judged once, when enough of its labels are there; later labels restate its numbers and raise no alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.app.intake import waiting_labels
from monitor.app.judge import judge_window, measure_window
from monitor.app.memory import DetectorMemory
from monitor.app.ports import LabelCounts, LabelSource, Validated
from monitor.app.runtime import Champion, Runtime
from monitor.domain.batch import Delivery, DeliveryState, LedgerEntry, Window
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict
from monitor.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """Records to be written again, the detector's next memory, and the label revisions the records now show."""

    records: Mapping[str, Mapping[str, Any]]
    memory: DetectorMemory
    revisions: Mapping[str, int]
    counts: LabelCounts


def stage_labels(rt: Runtime, now: datetime) -> None:
    """Take every new label delivery in."""
    if rt.labels is None:
        return
    for delivery, entry in waiting_labels(rt, now):
        try:
            stage_delivery(rt, rt.labels, delivery, entry, now=now)
        except DataError as exc:
            _settle(rt, entry, DeliveryState.BAD, now, {"reason": str(exc)})


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
        "notes": list(validated.notes),
    }
    _settle(rt, entry, DeliveryState.DONE, now, body)
    return validated


def restate(
    rt: Runtime, clock: datetime, champion: Champion, memory: DetectorMemory, *, current: Mapping[str, Any] | None
) -> Restated:
    """Join what is due at `clock`; return the changed records, `current` (the batch at hand) always among them."""
    counts = rt.book.join(clock)
    records: dict[str, Mapping[str, Any]] = {}
    revisions: dict[str, int] = {}
    if current is not None:
        records[current["batch"]] = current
    for batch in rt.book.labelled_rows():
        revision = rt.book.revision(batch)
        if revision == rt.revisions.get(batch, 0):
            continue
        record = records.get(batch) or rt.store.record(rt.name, batch)
        if record is None:
            continue
        records[batch], memory = _restated(rt, champion, record, revision, memory)
        revisions[batch] = revision
    return Restated(records=records, memory=memory, revisions=revisions, counts=counts)


def restate_windows(rt: Runtime, champion: Champion, clock: datetime) -> tuple[LabelCounts, int]:
    """Join and restate between batches; returns the counts and how many windows changed.

    No decision is taken here: that is for the end of the next window, so that a backlog ends as it would have live.
    """
    memory = DetectorMemory.load(rt.store, rt.name, champion.version)
    restated = restate(rt, clock, champion, memory, current=None)
    if restated.records:
        with rt.transaction() as tx:
            for batch, record in restated.records.items():
                tx.put_record(rt.name, batch, record)
            restated.memory.save(tx, rt.name, champion.version)
        rt.revisions.update(restated.revisions)
    return restated.counts, len(restated.records)


def _restated(
    rt: Runtime, champion: Champion, record: Mapping[str, Any], revision: int, memory: DetectorMemory
) -> tuple[Mapping[str, Any], DetectorMemory]:
    batch, version = record["batch"], record["model_version"]
    manifest = champion.bundle.manifest if version == champion.version else rt.store.manifest(rt.name, version)
    if manifest is None:
        return record, memory
    coverage = rt.book.coverage(batch)
    measured = measure_window(
        rt.collected.read(batch),
        rt.collected.scores(batch),
        rt.book.labels(batch),
        classes=manifest.classes,
        id_column=rt.schema.id or "",
        config=rt.config.performance,
    )
    record = {
        **record,
        "labels_revision": revision,
        "performance": {**record["performance"], **measured.shown, "labels_coverage": coverage},
    }
    before = record["verdicts"][Channel.PERFORMANCE]["verdict"]
    matured = rt.config.labels is not None and coverage >= rt.config.labels.matured_at
    if before != Verdict.INSUFFICIENT_DATA or not matured:
        return record, memory
    if version != champion.version:
        verdict = ChannelVerdict(
            channel=Channel.PERFORMANCE,
            verdict=Verdict.INSUFFICIENT_DATA,
            reason=f"scored by version {version}, which is no longer the champion",
        )
    else:
        window = Window(datetime.fromisoformat(record["window_start"]), datetime.fromisoformat(record["window_end"]))
        verdict, memory = judge_window(champion, measured, rt.config, memory, window)
    return {**record, "verdicts": {**record["verdicts"], Channel.PERFORMANCE.value: verdict.to_dict()}}, memory


def _settle(rt: Runtime, entry: LedgerEntry, state: DeliveryState, now: datetime, body: Mapping[str, Any]) -> None:
    with rt.transaction() as tx:
        tx.finish(entry.id, state, reason=str(body.get("reason", "")))
        event = "labels" if state is DeliveryState.DONE else "delivery_bad"
        tx.add_event(rt.name, now, event, {"delivery": entry.name, **body})
    log = rt.log.info if state is DeliveryState.DONE else rt.log.warning
    log(event, deployment=rt.name, delivery=entry.name, **body)

"""Join what is due, and say anew how well the model did on the windows whose labels have changed.

A window is judged once, when enough of its labels are there; later labels restate its numbers and raise no alarm.
Labels that have lost all connection with the predictions are held: they restate, and are neither judged nor learnt
from until they are released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from monitor.app.calibration_check import see_calibration
from monitor.app.judge import WindowMeasured, judge_window, measure_window
from monitor.app.label_memory import LabelMemory, journal
from monitor.app.label_selection import see_selection
from monitor.app.memory import DetectorMemory
from monitor.app.ports import LabelCounts, Transaction
from monitor.app.runtime import Champion, Runtime
from monitor.app.see_control import see_control
from monitor.app.standard_state import Entry, load_standard, save_standard, turn
from monitor.app.unmatched_labels import keep_unmatched
from monitor.domain.batch import Window
from monitor.domain.label_arrival import LAGS
from monitor.domain.label_trust import Doubt, LabelTrust, Standing, WindowSkill, examine
from monitor.domain.standard import Standard, WindowLoss, follow
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict

_FEWEST = 30  # labelled rows, before labels can be doubted


@dataclass(slots=True, kw_only=True)
class Restating:
    """One pass over what has changed: records to be written again, and what is remembered afterwards."""

    rt: Runtime
    champion: Champion
    memory: DetectorMemory
    labels: LabelMemory
    standard: Standard | None
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    changed: list[Doubt] = field(default_factory=list)
    selected: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    parted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    turns: list[Entry] = field(default_factory=list)  # the standard is missed, or met again
    counts: LabelCounts = field(default_factory=LabelCounts)

    @classmethod
    def begin(cls, rt: Runtime, champion: Champion, memory: DetectorMemory) -> Restating:
        labels, standard = LabelMemory.load(rt.kept, rt.name), load_standard(rt.kept, rt.name)
        return cls(rt=rt, champion=champion, memory=memory, labels=labels, standard=standard)

    def join(self, clock: datetime, *, current: Mapping[str, Any] | None = None) -> None:
        """Join what is due at `clock`. `current`, the batch at hand, is always among the records."""
        rt = self.rt
        self.counts = rt.book.join(clock)
        labelled = rt.book.labelled_rows()
        if current is not None:
            self.records[current["batch"]] = current
            batches = rt.collected.batches(LAGS)
            self.labels = self.labels.observed(batches, labelled, current["batch"], current["rows"])
        changed = rt.book.unsettled(rt.revisions)
        self.restate([*changed, *self._matured_meanwhile(labelled, skip=changed)])

    def doubted(self, trust: LabelTrust, changed: Sequence[Doubt]) -> None:
        """Somebody else has changed what is trusted: restate the windows concerned."""
        self.labels = replace(self.labels, trust=trust)
        self.changed += changed
        self.restate(doubt.batch for doubt in changed)

    def restate(self, batches: Iterable[str]) -> None:
        """In this order; windows whose labels this releases follow."""
        waiting = list(batches)
        while waiting:
            released = self._restate(waiting.pop(0))
            waiting += [batch for batch in released if batch not in waiting]

    def save(self, tx: Transaction, at: datetime, *, by: str = "monitor") -> None:
        """All but the records: that of the batch at hand is not complete yet."""
        name = self.rt.name
        self.memory.save(tx, name, self.champion.version)
        self.labels.save(tx, name)
        journal(tx, name, at, self.changed, by=by)
        if self.standard != load_standard(self.rt.kept, name):
            save_standard(tx, name, self.standard)
        for entry in self.turns:
            tx.add_event(name, at, *entry)

    def announce(self) -> None:
        """After the transaction."""
        self.rt.revisions.update(self.revisions)
        for doubt in self.changed:
            log = self.rt.log.warning if doubt.standing is Standing.HELD else self.rt.log.info
            log(f"labels_{doubt.standing.value}", deployment=self.rt.name, **doubt.to_dict())
        for event, body in self.turns:
            self.rt.log.warning(event, deployment=self.rt.name, **body)
        for batch, found in self.parted.items():
            self.rt.log.warning("control_parted", deployment=self.rt.name, batch=batch, **found)
        for batch, found in self.selected.items():
            self.rt.log.warning("labels_selected", deployment=self.rt.name, batch=batch, **found)

    def _matured_meanwhile(self, labelled: Mapping[str, int], skip: Sequence[str]) -> list[str]:
        """Windows that the curve now says no more labels will come for than they have."""
        config = self.rt.config.labels
        if config is None:
            return []
        return [
            batch
            for batch, one in self.labels.arrivals.following.items()
            if not one.matured
            and batch not in skip
            and self.labels.enough(labelled.get(batch, 0) / max(one.rows, 1), config.matured_at)
        ]

    def _restate(self, batch: str) -> tuple[str, ...]:
        """Returns the other batches whose labels were released by what this one shows."""
        rt = self.rt
        record = self.records.get(batch) or rt.store.record(rt.name, batch)
        if record is None or batch not in rt.collected:  # its rows are kept no longer
            return ()
        version = record["model_version"]
        own = version == self.champion.version
        manifest = self.champion.bundle.manifest if own else rt.store.manifest(rt.name, version)
        if manifest is None:
            return ()
        rows, scores = rt.collected.read(batch), rt.collected.scores(batch)
        measured = measure_window(
            rows,
            scores,
            rt.book.labels(batch),
            classes=manifest.classes,
            forgotten=self.champion.learnt.difference(manifest.classes),
            id_column=rt.schema.id or "",
            config=rt.config.performance,
        )
        revision = rt.book.revision(batch)
        released = self._examine(record, measured, revision)
        self.revisions[batch] = revision
        selection = see_selection(rows, scores, measured.labelled, record, rt.config)
        if selection["selected_by"] and not record["performance"]["selected_by"]:
            self.selected[batch] = selection
        control = see_control(rows, measured.labelled, manifest.classes, record, rt.config)
        if (now := control["control"]) and now["parted"] and not (record["performance"]["control"] or {}).get("parted"):
            self.parted[batch] = now
        calibration = see_calibration(self.champion.reference, measured.labelled, record) if own else None
        performance = {**record["performance"], **selection, **control, "calibration_p_value": calibration}
        record = {**record, "performance": performance}
        self.records[batch] = self._judged(record, measured, revision, own=own)
        return released

    def _examine(self, record: Mapping[str, Any], measured: WindowMeasured, revision: int) -> tuple[str, ...]:
        config, batch, window = self.rt.config.labels, record["batch"], _window(record)
        if config is None or measured.fit.loss.n < _FEWEST:
            return ()
        seen = WindowSkill(
            batch=batch,
            start=window.start,
            end=window.end,
            rows=measured.loss.n,
            skill=measured.fit.skill,
            error=measured.fit.error,
            spread=measured.fit.spread,
            revision=revision,
            moved=_inputs_moved(record),
        )
        trust, changed = examine(self.labels.trust, seen, patience=config.hold)
        self.labels = replace(self.labels, trust=trust)
        self.changed += changed
        return tuple(d.batch for d in changed if d.standing is Standing.RELEASED and d.batch != batch)

    def _judged(
        self, record: Mapping[str, Any], measured: WindowMeasured, revision: int, *, own: bool
    ) -> Mapping[str, Any]:
        rt, batch = self.rt, record["batch"]
        coverage = rt.book.coverage(batch)
        doubt = self.labels.trust.doubts.get(batch)
        standing = None if doubt is None else doubt.standing
        shown = {**measured.shown} if standing is not Standing.REJECTED else dict.fromkeys(measured.shown)
        matured = rt.config.labels is not None and self.labels.enough(coverage, rt.config.labels.matured_at)
        known = {**shown, "labels_coverage": coverage, "matured": matured, "labels": standing and standing.value}
        record = {**record, "labels_revision": revision, "performance": {**record["performance"], **known}}
        verdict = record["verdicts"][Channel.PERFORMANCE]
        if verdict["judged"] is not None or not matured:
            return record
        self.labels = self.labels.matured(batch)
        if doubt is not None and standing is not Standing.RELEASED:
            return _with(record, _unjudged(f"labels {doubt.standing.value}: {doubt.reason}"))
        if not own:
            why = f"scored by version {record['model_version']}, which is no longer the champion"
            return _with(record, _unjudged(why))
        judged, self.memory = judge_window(
            self.champion, measured, rt.config, self.memory, _window(record), error_rate=rt.error_rate
        )
        if judged.verdict is not Verdict.INSUFFICIENT_DATA:
            self._hold_to_standard(batch, measured, alarm=judged.verdict is Verdict.DRIFT)
        return _with(record, judged)

    def _hold_to_standard(self, batch: str, measured: WindowMeasured, *, alarm: bool) -> None:
        was, promised = self.standard, self.champion.reference.loss
        seen = WindowLoss(
            batch=batch, version=self.champion.version, loss=measured.loss, promised=promised, alarm=alarm
        )
        self.standard = follow(was, seen, min_increase=self.rt.config.detect.min_loss_increase)
        if (entry := turn(was, self.standard, batch)) is not None:
            self.turns.append(entry)


def restate_windows(rt: Runtime, champion: Champion, clock: datetime) -> tuple[LabelCounts, int]:
    """Join and restate between batches; returns the counts and how many windows changed.

    No decision is taken here: that is for the end of the next window, so that a backlog ends as it would have live.
    """
    restating = Restating.begin(rt, champion, DetectorMemory.load(rt.kept, rt.name, champion.version))
    restating.join(clock)
    write_restated(rt, restating, clock)
    keep_unmatched(rt)
    return restating.counts, len(restating.records)


def write_restated(rt: Runtime, restating: Restating, at: datetime, *, by: str = "monitor") -> None:
    """One transaction, when anything was restated at all."""
    if not restating.records:
        return
    with rt.transaction() as tx:
        for batch, record in restating.records.items():
            tx.put_record(rt.name, batch, record)
        restating.save(tx, at, by=by)
    restating.announce()


def _window(record: Mapping[str, Any]) -> Window:
    return Window(datetime.fromisoformat(record["window_start"]), datetime.fromisoformat(record["window_end"]))


def _inputs_moved(record: Mapping[str, Any]) -> bool:
    """In this window: those of a standing alarm have moved before."""
    inputs = record["verdicts"][Channel.INPUTS]
    return bool(inputs["raised"] or inputs["incidents"])


def _unjudged(reason: str) -> ChannelVerdict:
    return ChannelVerdict(channel=Channel.PERFORMANCE, verdict=Verdict.INSUFFICIENT_DATA, reason=reason)


def _with(record: Mapping[str, Any], verdict: ChannelVerdict) -> Mapping[str, Any]:
    return {**record, "verdicts": {**record["verdicts"], Channel.PERFORMANCE.value: verdict.to_dict()}}

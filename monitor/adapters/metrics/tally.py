"""Counts over the history of one deployment, brought up to date without reading the history again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.adapters.metrics.duration_counts import DurationCounts
from monitor.app.journal import ATTEMPT, is_a_look
from monitor.app.ports import Store
from monitor.app.status import newest_judged, newest_matured, was_judged
from monitor.config.sources import LabelsConfig
from monitor.domain.gate import Outcome
from monitor.domain.verdict import Channel, Verdict

OUTCOMES = (*(outcome.value for outcome in Outcome), "failed")  # of an attempt
CHAMPION_EVENTS = ("promoted", "rolled_back")

_MOST_LOOKED_BACK = 512  # batches searched for newly come labels
_KNOWN_ON_ARRIVAL = (Channel.INPUTS, Channel.PREDICTIONS, Channel.LABELS)
_WINDOWS = 20  # whose ends are remembered
_WORST_FIRST = (Verdict.BAD_DATA, Verdict.DRIFT, Verdict.OK, Verdict.INSUFFICIENT_DATA)


class Tally:
    """What has been counted so far. The numbers only grow, within a process and from one process to the next:
    what is counted of a record is never restated.

    `newest` is the last record, `matured` the last one whose realised performance is known, `judged` the last one
    that the detector has seen the performance of. `alarms` and `watched` count alarms and judged batches per channel.
    """

    def __init__(self, store: Store, deployment: str) -> None:
        self._store = store
        self._deployment = deployment
        self._counted = 0
        self._last_counted: str | None = None
        self._newest_events: dict[str, Mapping[str, Any]] = {}
        self.last_attempt: Mapping[str, Any] | None = None
        self.attempts: Counter[str] = Counter()
        self.champion_changes: Counter[str] = Counter()
        self.trials: Counter[str] = Counter()
        self._clear()

    def _clear(self) -> None:
        self.batches: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.rows = 0
        self.quarantined: Counter[str] = Counter()
        self.stages: dict[str, DurationCounts] = {}
        self.window_ends: deque[datetime] = deque(maxlen=_WINDOWS)
        self._unlabelled: Sequence[Mapping[str, Any]] = ()
        self.newest: Mapping[str, Any] | None = None
        self.matured: Mapping[str, Any] | None = None
        self.judged: Mapping[str, Any] | None = None
        self._matured_at = self._judged_at = 0  # 1-based places of `matured` and `judged` in the history
        self.alarms: dict[Channel, int] = {}
        self.watched: dict[Channel, int] = {}

    def update(self) -> None:
        """Count what has come since; raises StoreError and has then counted nothing twice."""
        self._update_records()
        if attempts := self._events_when_new(ATTEMPT):
            counted = [attempt for attempt in attempts if not is_a_look(attempt)]
            self.attempts = Counter(attempt["outcome"] for attempt in counted)
            self.last_attempt = counted[-1] if counted else None
        if trials := self._events_when_new("trial_ended"):
            self.trials = Counter(trial["finding"] for trial in trials)
        for event in CHAMPION_EVENTS:
            if moves := self._events_when_new(event):
                self.champion_changes[event] = len(moves)

    def _events_when_new(self, event: str) -> Sequence[Mapping[str, Any]]:
        """All journal entries of a rare kind; none when there is no new one since they were last asked for."""
        newest = self._store.events(self._deployment, event=event, last=1)
        if not newest or newest[0] == self._newest_events.get(event):
            return ()
        events = self._store.events(self._deployment, event=event)
        self._newest_events[event] = events[-1]
        return events

    def _update_records(self) -> None:
        total = self._store.count_records(self._deployment)
        if total == 0:
            return
        back = min(max(total - min(self._matured_at, self._judged_at), 1), _MOST_LOOKED_BACK)
        wanted = max(total - self._counted + 1, back)  # with the last one counted, to see where the new ones begin
        records = self._store.records(self._deployment, last=wanted if self._counted else None)
        fresh = self._after_last_counted(records)
        if fresh is None:  # more came between the two queries than were asked for, or the history is another one
            records = fresh = self._store.records(self._deployment)
            self._clear()
            self._counted = 0
        for record in fresh:
            self._count(record)
        self._counted += len(fresh)
        self._remember(records)

    def _after_last_counted(self, records: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]] | None:
        if self._last_counted is None:
            return records
        places = [place for place, record in enumerate(records) if record["batch"] == self._last_counted]
        return records[places[-1] + 1 :] if places else None

    def _remember(self, records: Sequence[Mapping[str, Any]]) -> None:
        """`records` are the newest ones, restated as they may be."""
        self.newest = records[-1]
        self._last_counted = records[-1]["batch"]
        found = newest_matured(records)
        self._unlabelled = records if found is None else records[records.index(found) + 1 :]
        if found is not None:
            self.matured = found
            self._matured_at = self._counted - len(records) + 1 + records.index(found)
        judged = newest_judged(records, Channel.PERFORMANCE)
        if judged is not None:
            self.judged = judged
            self._judged_at = self._counted - len(records) + 1 + records.index(judged)
        for channel in Channel:
            self._count_alarms(channel, [r["verdicts"][channel.value] for r in records if was_judged(r, channel)])

    def overdue(self, labels: LabelsConfig, settled: int | None) -> int | None:
        """Scored batches after `matured` without enough labels, though `labels.delay` after them is over.

        Event time: what counts as now is the end of the newest window. With `labels.available_at` it is learnt when
        labels come: they are due once more than `settled` scored batches have come after them. None as long as nothing
        says it.
        """
        if not self.window_ends:
            return None
        scored = [record for record in self._unlabelled if record["model_version"] is not None]
        if labels.available_at is None:
            due = max(self.window_ends) - labels.delay
            old = [record for record in scored if datetime.fromisoformat(record["window_end"]) < due]
        elif settled is None:
            return None
        else:
            old = scored[: max(len(scored) - 1 - settled, 0)]
        late = [record for record in old if record["performance"]["labels_coverage"] < labels.matured_at]
        return len(late)

    def _count_alarms(self, channel: Channel, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Each verdict holds the counts up to itself; labels may come in any order, so the largest is the newest."""
        if verdicts:
            self.alarms[channel] = max(self.alarms.get(channel, 0), *(v["alarms"] for v in verdicts))
            self.watched[channel] = max(self.watched.get(channel, 0), *(v["judged"] for v in verdicts))

    def _count(self, record: Mapping[str, Any]) -> None:
        seen = {record["verdicts"][c.value]["verdict"] for c in _KNOWN_ON_ARRIVAL if c.value in record["verdicts"]}
        self.batches[next((v for v in _WORST_FIRST if v in seen), Verdict.INSUFFICIENT_DATA)] += 1
        self.decisions[record["decision"]] += 1
        self.rows += record["rows"]
        self.quarantined.update(record["rejected"])
        self.window_ends.append(datetime.fromisoformat(record["window_end"]))
        for stage, seconds in record["seconds"].items():
            self.stages.setdefault(stage, DurationCounts()).add(seconds)

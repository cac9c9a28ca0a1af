"""Counts over the history of one deployment, brought up to date without reading the history again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.app.ports import Store
from monitor.app.status import newest_judged, newest_matured, was_judged
from monitor.domain.verdict import Channel, Verdict

_MOST_LOOKED_BACK = 512  # batches searched for newly come labels
_KNOWN_ON_ARRIVAL = (Channel.INPUTS, Channel.PREDICTIONS, Channel.LABELS)
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
        self._last_attempt: Mapping[str, Any] | None = None
        self._clear()

    def _clear(self) -> None:
        self.batches: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.rows = 0
        self.quarantined = 0
        self.newest: Mapping[str, Any] | None = None
        self.matured: Mapping[str, Any] | None = None
        self.judged: Mapping[str, Any] | None = None
        self._matured_at = self._judged_at = 0  # 1-based places of `matured` and `judged` in the history
        self.alarms: dict[Channel, int] = {}
        self.watched: dict[Channel, int] = {}

    def update(self) -> None:
        """Count what has come since; raises StoreError and has then counted nothing twice."""
        self._update_records()
        newest = self._store.events(self._deployment, event="attempt", last=1)
        if newest and newest[0] != self._last_attempt:
            attempts = self._store.events(self._deployment, event="attempt")
            self.attempts = Counter(attempt["outcome"] for attempt in attempts)
            self._last_attempt = newest[0]

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
        if found is not None:
            self.matured = found
            self._matured_at = self._counted - len(records) + 1 + records.index(found)
        judged = newest_judged(records, Channel.PERFORMANCE)
        if judged is not None:
            self.judged = judged
            self._judged_at = self._counted - len(records) + 1 + records.index(judged)
        for channel in Channel:
            self._count_alarms(channel, [r["verdicts"][channel.value] for r in records if was_judged(r, channel)])

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
        self.quarantined += record["quarantined"]

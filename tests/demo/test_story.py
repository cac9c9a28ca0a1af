"""What the story says, from records in a real store. Times and colours left out."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from monitor.adapters.store.sql_store import SqlStore
from monitor.app.retrain_model import Attempt
from monitor.demo.story import Story
from monitor.demo.terminal import Terminal
from monitor.domain.batch import Window
from monitor.domain.policy import Trigger
from monitor.domain.record import BatchRecord, Performance
from monitor.domain.verdict import Channel, ChannelVerdict, ColumnFinding, Verdict

T0 = datetime(2026, 3, 1, tzinfo=UTC)


class Told:
    """A story of one deployment, and the lines it has told."""

    def __init__(self, store: SqlStore) -> None:
        self._out = io.StringIO()
        terminal = Terminal(Console(file=self._out, width=80, highlight=False), lambda: T0)
        self.story, self.store, self.number = Story(terminal, "digits", "accuracy"), store, 0
        self.story.open(store)
        self.recovered: list[str] = []
        self.story.recovered = self.recovered.append

    def batch(self, inputs: ChannelVerdict | None = None, *, decision: str = "idle") -> str:
        """A batch comes; its labels are not known yet."""
        self.number += 1
        verdict = inputs or ChannelVerdict(channel=Channel.INPUTS, verdict=Verdict.OK, reason="")
        record = BatchRecord(
            deployment="digits",
            batch=f"batch-{self.number:04d}",
            fingerprint=str(self.number),
            window=Window(T0, T0 + timedelta(seconds=self.number)),
            rows=250,
            quarantined=0,
            model_version=1,
            verdicts={Channel.INPUTS: verdict, Channel.PERFORMANCE: waiting()},
            decision=decision,
            decision_reason="because",
        )
        self._put(record)
        self.story.listener.record(record)
        return record.batch

    def labels(
        self, batch: str, accuracy: float, *, version: int = 1, ok: bool = True, raw: float | None = None
    ) -> None:
        """The labels of an earlier batch come; they are told with the next batch."""
        plain = self.store.record("digits", batch)
        verdict = ChannelVerdict(
            channel=Channel.PERFORMANCE, verdict=Verdict.OK if ok else Verdict.DRIFT, reason="loss +80%"
        )
        record = BatchRecord.from_dict(plain)
        record = replace(
            record,
            model_version=version,
            performance=Performance(realised=accuracy, raw=raw, labels_coverage=1.0),
            verdicts={**record.verdicts, Channel.PERFORMANCE: verdict},
        )
        self._put(record)

    def _put(self, record: BatchRecord) -> None:
        with self.store.transaction() as tx:
            tx.put_record("digits", record.batch, record.to_dict())

    @property
    def lines(self) -> list[str]:
        return [line[7:].strip() for line in self._out.getvalue().splitlines()]

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self.lines)


def waiting() -> ChannelVerdict:
    return ChannelVerdict(channel=Channel.PERFORMANCE, verdict=Verdict.INSUFFICIENT_DATA, reason="no labels yet")


def drift(columns: int) -> ChannelVerdict:
    moved = tuple(ColumnFinding(name=f"c{k}", measure="location", shift=0.2) for k in range(columns))
    return ChannelVerdict(
        channel=Channel.INPUTS, verdict=Verdict.DRIFT, reason=f"{columns} columns differ", columns=moved
    )


@pytest.fixture
def told(tmp_path) -> Told:
    return Told(SqlStore(f"sqlite:///{tmp_path / 'monitor.db'}"))


@pytest.mark.parametrize(("after", "back"), [(0.93, True), (0.77, True), (0.75, False), (0.5, False)])
def test_accuracy_is_back_when_half_of_the_loss_has_come_back(told, after, back):
    one, two = told.batch(), told.batch()
    told.labels(one, 0.95)
    told.batch()
    told.labels(two, 0.57, ok=False)
    three = told.batch()
    told.story.log_event("info", "promoted", {"version": 2, "previous": 1})
    told.labels(three, after, version=2)
    told.batch()
    what = "accuracy back" if back else "accuracy"
    levels = "0.950 (version 1, batch-0001) → 0.570 (version 1, batch-0002)"
    assert told.lines[-2] == f"monitor  {what}: {levels} → {after:.3f} (version 2, {three})"
    assert told.recovered == ([three] if back else [])


def test_what_the_correction_is_worth_is_told(told):
    one = told.batch()
    told.labels(one, 0.89, raw=0.77)
    told.batch()
    assert "accuracy 0.770 with the scores as they are, 0.890 as served" in told


def test_late_labels_of_the_old_version_do_not_show_that_the_new_one_helps(told):
    one, two = told.batch(), told.batch()
    told.labels(one, 0.57, ok=False)
    told.batch()
    told.story.log_event("info", "promoted", {"version": 2, "previous": 1})
    told.labels(two, 0.9, version=1)
    told.batch()
    assert told.recovered == []
    assert "labels of batch-0002 came: accuracy 0.900 with version 1" in told


def test_each_accuracy_is_told_once(told):
    told.labels(told.batch(), 0.9)
    told.batch()
    told.batch()
    assert sum("labels of batch-0001 came" in line for line in told.lines) == 1


def test_drift_that_goes_on_is_explained_again_only_when_it_spreads(told):
    for columns in (1, 1, 2, 3, 6):
        told.batch(drift(columns))
    explained = [line for line in told.lines if line.startswith("inputs: ")]
    assert [line.split()[1] for line in explained] == ["1", "2", "6"]
    assert explained[-1].endswith("c3 location +0.20, and 2 more)")


def test_a_decision_is_told_when_it_changes(told):
    for decision in ("idle", "idle", "watch", "watch", "retrain", "idle"):
        told.batch(decision=decision)
    assert [line for line in told.lines if line.startswith("decision")] == [
        "decision idle: because",
        "decision watch: because",
        "decision idle: because",
    ]


def test_a_history_is_not_told_again(told):
    told.labels(told.batch(), 0.9)
    again = Told(told.store)
    again.number = 1
    again.batch()
    assert "labels of batch-0001" not in again


def test_an_attempt_that_did_not_help_is_told_with_its_reason(told):
    told.story.listener.attempt(
        Attempt(
            trigger=Trigger.CHANGE,
            outcome="reject",
            reason="worse by more than 2%",
            chosen="all",
            metrics={"champion": 0.6, "all": 0.5},
            held_out=500,
            seconds=3.2,
        )
    )
    assert "reject: no new version after 3 s: worse by more than 2%" in told
    assert "accuracy on the 500 newest labelled images: 0.600 → 0.500" in told


def test_what_goes_wrong_is_told_whatever_it_is(told):
    told.story.log_event("info", "labels", {"delivery": "x"})
    told.story.log_event("warning", "delivery_bad", {"deployment": "digits", "delivery": "x", "reason": "empty_file"})
    assert told.lines == ["monitor  delivery bad: delivery=x, reason=empty_file"]

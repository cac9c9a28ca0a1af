"""What `monitor status` shows, from a store and a configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.app.journal import ATTEMPT_BEGUN
from monitor.app.leases import duty_lease, pass_lease
from monitor.app.memory import RetrainMemory
from monitor.app.status import deployment_status
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState
from monitor.domain.policy import Trigger
from monitor.domain.verdict import Channel, ColumnFinding, Verdict
from tests.support import stored

NOW = stored.FIRST + timedelta(days=10)


@pytest.fixture
def store(tmp_path: Path):
    return stored.open_store(tmp_path)


def test_a_deployment_that_never_ran(store):
    status = deployment_status(store, stored.deployment(), NOW)
    assert (status.last, status.model, status.decision, status.last_attempt) == (None, None, None, None)
    assert (status.batches, status.waiting, status.unlabelled_batches) == (0, 0, 0)
    assert status.performance.realised is None
    assert status.performance.floor == 0.6
    json.dumps(status.to_dict(), allow_nan=False)


def test_the_last_batch_with_its_age_and_the_columns_that_moved_most_first(store):
    moved = [ColumnFinding(name=n, measure="ks", shift=s) for n, s in (("a", 0.1), ("b", -0.4), ("a", 0.2))]
    verdicts = {**stored.record(0).verdicts, Channel.INPUTS: stored.seen(Channel.INPUTS, Verdict.DRIFT, *moved)}
    stored.put(store, stored.record(0), stored.record(1, verdicts=verdicts, quarantined=3, decision="watch"))
    status = deployment_status(store, stored.deployment(), NOW)
    assert status.batches == 2
    assert status.last is not None
    assert (status.last.batch, status.last.age, status.last.quarantined) == ("day_001", timedelta(days=8), 3)
    assert status.last.channels[Channel.INPUTS].columns == ("b", "a")
    assert status.last.channels[Channel.INPUTS].action == "log"
    assert status.last.channels[Channel.PERFORMANCE].action == "retrain"
    assert status.decision == "watch"


def test_the_performance_channel_is_that_of_the_newest_window_that_was_judged(store):
    judged = {**stored.record(0).verdicts, Channel.PERFORMANCE: stored.seen(Channel.PERFORMANCE, Verdict.DRIFT)}
    stored.put(store, stored.record(0, verdicts=judged), stored.record(1))
    last = deployment_status(store, stored.deployment(), NOW).last
    assert last is not None
    shown = last.channels[Channel.PERFORMANCE]
    assert (shown.batch, shown.verdict, shown.alarms) == ("day_000", Verdict.DRIFT, 1)
    assert last.channels[Channel.INPUTS].batch == "day_001"


def test_far_columns_and_incidents_are_named_the_farthest_first(store):
    far = [ColumnFinding(name=n, measure="location", shift=s) for n, s in (("a", 0.2), ("b", -0.4))]
    verdict = replace(stored.seen(Channel.INPUTS, Verdict.OK), beyond=tuple(far), incidents=(far[0],))
    stored.put(store, stored.record(0, verdicts={Channel.INPUTS: verdict}))
    last = deployment_status(store, stored.deployment(), NOW).last
    assert last is not None
    inputs = last.channels[Channel.INPUTS]
    assert (inputs.beyond, inputs.incidents, inputs.columns) == (("b", "a"), ("a",), ())


def test_an_alarm_that_was_acknowledged_is_marked_until_the_next_batch(store):
    drift = {**stored.record(0).verdicts, Channel.INPUTS: stored.seen(Channel.INPUTS, Verdict.DRIFT)}

    def marked() -> dict[str, bool]:
        last = deployment_status(store, stored.deployment(), NOW).last
        assert last is not None
        return {channel.value: seen.acknowledged for channel, seen in last.channels.items() if seen.acknowledged}

    stored.put(store, stored.record(0, verdicts=drift))
    assert marked() == {}
    with store.transaction() as tx:
        tx.add_event("prices", NOW, "acknowledged", {"channel": "inputs", "batch": "day_000", "reason": "seen"})
    assert marked() == {"inputs": True}
    stored.put(store, stored.record(1, verdicts=drift))  # another alarm
    assert marked() == {}


def test_a_rate_is_promised_under_the_budget_only(store):
    assert deployment_status(store, stored.deployment(), NOW).false_alarms == "1 per year"
    per_batch = stored.deployment(detect={"rule": "per_batch"})
    assert deployment_status(store, per_batch, NOW).false_alarms is None


def test_performance_is_the_newest_window_with_labels_beside_what_the_champion_promised(store):
    stored.put_champion(store, stored.manifest())
    stored.put(store, stored.record(0, performance=stored.matured(0.7)), stored.record(1), stored.record(2))
    performance = deployment_status(store, stored.deployment(), NOW).performance
    assert (performance.batch, performance.realised, performance.held_out) == ("day_000", 0.7, 0.9)


def test_batches_without_enough_labels_are_counted_and_those_never_scored_are_not(store):
    stored.put(
        store,
        stored.record(0, performance=stored.matured(0.7, 0.9)),
        stored.record(1, performance=stored.matured(0.7, 0.5)),
        stored.record(2),
        stored.record(3, model_version=None, rows=0),
    )
    status = deployment_status(store, stored.deployment(), NOW)
    assert (status.unlabelled_batches, status.unlabelled_rows) == (2, 50 + 100)
    without = stored.deployment(labels=None, retrain={"mode": "off"})
    assert deployment_status(store, without, NOW).unlabelled_batches == 0


def test_the_champion_is_shown_with_its_age_and_where_it_is_from(store):
    stored.put_champion(store, stored.manifest(1))
    stored.put_champion(store, stored.manifest(2, origin="retrain", candidate="recent_1x", created=NOW - stored.DAY))
    model = deployment_status(store, stored.deployment(), NOW).model
    assert model is not None
    assert (model.version, model.origin, model.age, model.candidate) == (2, "retrain", stored.DAY, "recent_1x")


def test_the_last_attempt(store):
    stored.put_attempt(store, stored.FIRST, "promote")
    stored.put_attempt(store, stored.FIRST + stored.DAY, "reject")
    attempt = deployment_status(store, stored.deployment(), NOW).last_attempt
    assert attempt is not None
    assert (attempt.outcome, attempt.at, attempt.reason) == ("reject", stored.FIRST + stored.DAY, "it was a reject")
    assert not attempt.dry_run


def test_an_attempt_that_has_begun_runs_as_long_as_somebody_is_at_work(store):
    stored.put_attempt(store, stored.FIRST, "promote")
    with store.transaction() as tx:
        tx.add_event("prices", NOW, ATTEMPT_BEGUN, {"trigger": "operator", "dry_run": True})
    store.acquire_lease(pass_lease("prices"), owner="somebody", now=NOW, until=NOW + stored.DAY)
    for later, outcome in ((timedelta(0), "running"), (2 * stored.DAY, "lost")):
        attempt = deployment_status(store, stored.deployment(), NOW + later).last_attempt
        assert attempt is not None
        assert (attempt.outcome, attempt.dry_run) == (outcome, True)
        assert ("nothing of it counts" in attempt.reason) == (outcome == "lost")
    with store.transaction() as tx:
        tx.add_event("prices", NOW, ATTEMPT_BEGUN, {"trigger": "change", "dry_run": False})
        RetrainMemory(pending=Trigger.CHANGE).save(tx, "prices")
    attempt = deployment_status(store, stored.deployment(), NOW + 2 * stored.DAY).last_attempt
    assert attempt is not None
    assert attempt.reason == "it ended without a result; it is made anew at the next pass"


def test_whether_a_daemon_is_at_work_and_its_passes_fail(store):
    def seen() -> tuple[str | None, str | None]:
        status = deployment_status(store, stored.deployment(), NOW)
        return status.daemon, status.failing.error if status.failing else None

    assert seen() == (None, None)
    store.acquire_lease(duty_lease("prices"), owner="a daemon", now=NOW, until=NOW + stored.DAY)
    steps = [("pass_failed", "no such folder"), ("pass_failed", "no permission"), ("pass_recovered", None)]
    for event, error in steps:
        with store.transaction() as tx:
            tx.add_event("prices", NOW, event, {"error": error} if error else {})
        assert seen() == ("a daemon", error)


def test_deliveries_wait_until_they_are_done(store):
    for k in range(3):
        delivery = Delivery(locator=f"in/{k}.parquet", name=str(k), size=9, modified=stored.FIRST)
        store.see("prices", DeliveryKind.BATCH, delivery, f"f{k}")
    labels = Delivery(locator="labels/0.parquet", name="0", size=9, modified=stored.FIRST)
    store.see("prices", DeliveryKind.LABELS, labels, "l0")
    with store.transaction() as tx:
        tx.finish(store.entries("prices", DeliveryKind.BATCH)[0].id, DeliveryState.DONE)
    status = deployment_status(store, stored.deployment(), NOW)
    assert (status.waiting, status.labels_waiting) == (2, 1)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"every": "5m"}, "every 5 min"),
        ({"every": "90s"}, "every 90 s"),
        ({"every": "2h"}, "every 2 h"),
        ({"every": "1d"}, "every 1 d"),
        ({"every": "500ms"}, "every 0.5 s"),
        ({"cron": "*/5 * * * *"}, "cron */5 * * * * (UTC)"),
    ],
)
def test_the_schedule_in_words(store, schedule: dict[str, str], words: str):
    assert deployment_status(store, stored.deployment(schedule=schedule), NOW).schedule == words


def test_plain_values_carry_their_unit(store):
    stored.put_champion(store, stored.manifest())
    stored.put(store, stored.record(0))
    plain = json.loads(json.dumps(deployment_status(store, stored.deployment(), NOW).to_dict(), allow_nan=False))
    assert plain["last"]["age_seconds"] == 9 * 86400
    assert plain["model"]["age_seconds"] == 11 * 86400
    assert datetime.fromisoformat(plain["as_of"]) == NOW
    assert plain["last"]["channels"]["inputs"]["verdict"] == "ok"


def test_a_naive_moment_is_refused(store):
    with pytest.raises(ValueError, match="naive"):
        deployment_status(store, stored.deployment(), datetime.now(UTC).replace(tzinfo=None))

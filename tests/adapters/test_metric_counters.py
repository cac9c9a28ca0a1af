"""Counters only grow, and are those of the whole history however often it is looked at."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.adapters.metrics.collector import StoreCollector
from monitor.adapters.metrics.tally import Tally
from monitor.adapters.store.sql_store import SqlStore
from monitor.domain.verdict import Channel, Verdict
from tests.support import stored
from tests.support.scraped import collector_of, drifting, value

BAD = (Channel.INPUTS, Channel.PREDICTIONS, Channel.LABELS)
KINDS = {
    "o": lambda k: stored.record(k, quarantined=1, rejected={"wrong_type": 1}),
    "d": lambda k: drifting(k, {"price": 0.1}),
    "b": lambda k: stored.record(
        k, rows=0, verdicts={c: stored.seen(c, Verdict.BAD_DATA) for c in BAD}, decision="wait_data"
    ),
}


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    return stored.open_store(tmp_path)


@settings(max_examples=20)  # each example makes a database
@given(st.lists(st.text(alphabet="odb", max_size=8), min_size=1, max_size=6))
def test_counting_in_steps_equals_counting_at_once(tmp_path_factory: pytest.TempPathFactory, steps: list[str]):
    store = stored.open_store(tmp_path_factory.mktemp("counts"))
    stepwise, k = Tally(store, "prices"), 0
    for step in steps:
        before = (stepwise.rows, dict(stepwise.batches))
        stored.put(store, *(KINDS[letter](k + i) for i, letter in enumerate(step)))
        k += len(step)
        stepwise.update()
        assert stepwise.rows >= before[0]
        assert all(stepwise.batches[verdict] >= n for verdict, n in before[1].items())
    at_once = Tally(store, "prices")
    at_once.update()
    played = "".join(steps)
    assert stepwise.batches == at_once.batches
    assert stepwise.decisions == at_once.decisions
    assert (stepwise.rows, stepwise.quarantined) == (at_once.rows, at_once.quarantined)
    assert stepwise.batches["drift"] == played.count("d")
    assert stepwise.batches["bad_data"] == played.count("b")
    assert stepwise.quarantined == Counter(wrong_type=played.count("o"))
    assert [(name, *d.buckets(), d.total) for name, d in stepwise.stages.items()] == [
        (name, *d.buckets(), pytest.approx(d.total)) for name, d in at_once.stages.items()
    ]


def test_attempts_are_counted_by_outcome_and_the_last_one_is_shown(store: SqlStore):
    collector = collector_of(store)
    assert value(collector, "monitor_last_attempt", outcome="failed") is None
    for day, outcome in enumerate(("keep", "reject", "promote", "failed", "keep")):
        stored.put_attempt(store, stored.FIRST + day * stored.DAY, outcome)
        assert value(collector, "monitor_retrain_attempts_total", outcome=outcome) == (2 if day == 4 else 1)
        assert value(collector, "monitor_last_attempt", outcome=outcome) == 1
        assert value(collector, "monitor_last_attempt", outcome="failed") == float(outcome == "failed")
    stored.put_attempt(store, stored.FIRST + 9 * stored.DAY, "failed", trigger="operator", dry_run=True)
    assert value(collector, "monitor_retrain_attempts_total", outcome="failed") == 1, "a look by hand is no incident"
    assert value(collector, "monitor_last_attempt", outcome="keep") == 1
    stored.put_attempt(store, stored.FIRST + 9 * stored.DAY, "failed", trigger="operator")
    assert value(collector, "monitor_retrain_attempts_total", outcome="failed") == 2


def test_promotions_and_rollbacks_are_counted(store: SqlStore):
    collector = collector_of(store)
    for done, event in enumerate(("promoted", "promoted", "rolled_back"), start=1):
        with store.transaction() as tx:
            tx.add_event("prices", stored.FIRST, event, {"version": done})
        assert value(collector, "monitor_champion_changes_total", event="promoted") == min(done, 2)
        assert value(collector, "monitor_champion_changes_total", event="rolled_back") == max(done - 2, 0)


def test_refused_rows_are_counted_by_reason(store: SqlStore):
    collector = collector_of(store)
    assert value(collector, "monitor_quarantined_rows_total", kind="batch", reason="wrong_type") == 0
    for k, rejected in enumerate(({"wrong_type": 2, "missing_id": 1}, {"wrong_type": 1})):
        stored.put(store, stored.record(k, quarantined=sum(rejected.values()), rejected=rejected))
    assert value(collector, "monitor_quarantined_rows_total", kind="batch", reason="wrong_type") == 3
    assert value(collector, "monitor_quarantined_rows_total", kind="batch", reason="missing_id") == 1


@pytest.mark.parametrize("deliveries", [(1, 0, 2), (200, 201, 202), (450, 0)])
def test_refused_label_rows_are_counted_once_however_many_come_between_two_scrapes(store: SqlStore, deliveries):
    def counted(collector: StoreCollector) -> float | None:
        return value(collector, "monitor_quarantined_rows_total", kind="labels", reason="impossible_label")

    collector, total = collector_of(store), 0
    assert counted(collector) == 0
    for more in deliveries:
        with store.transaction() as tx:
            for k in range(more):
                reasons = {"impossible_label": 2, "missing_id": 1} if k % 2 else {}
                tx.add_event("prices", stored.FIRST, "labels", {"delivery": f"l{k}", "reasons": reasons})
                tx.add_event("prices", stored.FIRST, "labels_duplicate", {"delivery": f"l{k}", "reason": "as before"})
        total += 2 * (more // 2)
        assert counted(collector) == total
    assert counted(collector_of(store)) == total, "and in another process"


def test_stages_are_histograms_that_start_at_no_number_of_batches(store: SqlStore):
    collector = collector_of(store)
    for k, seconds in enumerate((0.005, 0.4, 400.0)):
        stored.put(store, stored.record(k, seconds={"score": seconds}))
        list(collector.collect())
    for one in (collector, collector_of(store)):  # the same for a new process
        buckets = {
            le: value(one, "monitor_stage_seconds_bucket", stage="score", le=le) for le in ("0.005", "0.5", "300.0")
        }
        assert buckets == {"0.005": 1, "0.5": 2, "300.0": 2}
        assert value(one, "monitor_stage_seconds_bucket", stage="score", le="+Inf") == 3
        assert value(one, "monitor_stage_seconds_sum", stage="score") == pytest.approx(400.405)

"""The collector on a real store: what is exported, that counters only grow, and that a scrape reads little."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest

from monitor.adapters.metrics.arrivals import usual_interval
from monitor.adapters.metrics.catalogue import metric_names
from monitor.adapters.metrics.collector import StoreCollector, registry_of
from monitor.adapters.metrics.configuration import ConfigCollector
from monitor.adapters.store.sql_store import SqlStore
from monitor.app.daemon import Health
from monitor.app.reload import Reloaded
from monitor.app.unmatched_labels import save_unmatched
from monitor.domain.batch import DeliveryKind
from monitor.domain.label_arrival import Unmatched
from monitor.domain.performance_estimate import Assumption
from monitor.domain.record import ClassShare
from monitor.domain.verdict import Channel, ColumnFinding, Verdict
from tests.support import stored
from tests.support.scraped import PRICES, collector_of, drifting, value

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    return stored.open_store(tmp_path)


def labelled(k: int, value: float, **counts: int | None):
    """The batch of day k once its labels have come; `counts` are those of the performance channel."""
    verdict = replace(stored.seen(Channel.PERFORMANCE, Verdict.OK), **counts)
    return stored.record(
        k, performance=stored.matured(value), verdicts={**stored.record(k).verdicts, Channel.PERFORMANCE: verdict}
    )


def measured(channel: str, column: str, measure: str, statistic: float | None, effect: float | None):
    return {"channel": channel, "column": column, "measure": measure, "statistic": statistic, "effect": effect}


def exporting(store: SqlStore, *names: str) -> StoreCollector:
    health = Health(last_pass=stored.FIRST, last_success=stored.FIRST, at_work_since=stored.FIRST)
    return collector_of(store, health=health, detect={"export": list(names)})


def put_measures(store: SqlStore, batch: str, *measures: dict) -> None:
    with store.transaction() as tx:
        tx.put_measures("prices", batch, measures)


def everything(store: SqlStore) -> StoreCollector:
    """A past in which each metric has a value."""
    stored.put_champion(store, stored.manifest())
    last = replace(drifting(1, {"price": 0.2}), performance=stored.ESTIMATED, performance_segments=stored.SEGMENTS)
    stored.put(store, stored.record(0, performance=stored.matured(0.8, 0.9)), last)
    stored.put_attempt(store, stored.FIRST, "reject")
    stored.see(store, DeliveryKind.BATCH, "day_001", stored.FIRST)
    put_measures(store, stored.record(1).batch, measured("inputs", "price", "ks", 0.3, 0.3))
    stored.put_arrivals(store, batches=10)
    with store.transaction() as tx:
        save_unmatched(tx, "prices", Unmatched(rows=7, since=stored.FIRST))
        tx.add_event("prices", stored.FIRST, "bad_data", {"batch": "day_001", "reason": "truncated"})
        tx.add_event("prices", stored.FIRST, "push_refused", {"kind": "batch", "id": "day_001", "error": "no table"})
    return exporting(store, "ks")


def test_everything_that_is_documented_is_exported_and_nothing_else(store: SqlStore):
    configuration = ConfigCollector(lambda: Reloaded(successful=True, last_success=stored.FIRST))
    exported = {
        re.sub("_(bucket|sum|count)$", "", s.name): set(s.labels) - {"le"}
        for family in (*everything(store).collect(), *configuration.collect())
        for s in family.samples
    }
    assert exported == {name: set(labels) for name, (_, _, labels) in metric_names().items()}


def test_the_estimate_is_of_the_last_batch_with_what_it_assumes(store: SqlStore):
    values = {(s.name, *s.labels.values()): s.value for f in everything(store).collect() for s in f.samples}
    ends = [values[f"monitor_performance_estimated{end}", "prices", "accuracy"] for end in ("_low", "", "_high")]
    assert ends == [0.7, 0.78, 0.86]
    assumed = {label: values["monitor_performance_assumption", "prices", label] for label in Assumption}
    assert {label for label, value in assumed.items() if value} == {"label_shift"}
    segments = [key[3:] for key in values if key[0] == "monitor_performance_segment_estimated"]
    assert segments == [("day", "Mon")]


def test_the_reference_page_lists_every_metric_with_its_type_and_labels():
    rows = re.findall(r"^\| `(monitor_\w+)` \| (\w+) \| ([^|]*) \|", PAGE.read_text(), re.MULTILINE)
    documented = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == {name: (kind, labels) for name, (kind, _, labels) in metric_names().items()}


def test_promtool_has_nothing_to_say(store: SqlStore, promtool: Path):
    text = generate_latest(registry_of(everything(store)))
    said = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_a_deployment_that_never_ran_has_counters_at_zero_and_no_gauges(store: SqlStore):
    collector = collector_of(store)
    assert value(collector, "monitor_batches_total", verdict="drift") == 0
    assert value(collector, "monitor_retrain_attempts_total", outcome="promote") == 0
    assert value(collector, "monitor_verdict", channel="inputs", verdict="ok") is None
    assert value(collector, "monitor_performance", metric="accuracy") is None


def test_each_channel_has_one_verdict_that_is_one(store: SqlStore):
    stored.put(store, drifting(0, {"price": -0.3}))
    registry = registry_of(collector_of(store))
    for channel, is_one in {"inputs": "drift", "predictions": "ok", "performance": "insufficient_data"}.items():
        found = {
            v: registry.get_sample_value("monitor_verdict", {**PRICES, "channel": channel, "verdict": v})
            for v in Verdict
        }
        assert found == {v: float(v == is_one) for v in Verdict}
    assert registry.get_sample_value("monitor_evidence", {**PRICES, "channel": "inputs"}) == 9.0
    assert registry.get_sample_value("monitor_evidence_threshold", {**PRICES, "channel": "inputs"}) == 3.0
    assert registry.get_sample_value("monitor_evidence", {**PRICES, "channel": "performance"}) is None


def test_the_performance_channel_is_that_of_the_newest_window_that_was_judged(store: SqlStore):
    collector = collector_of(store)
    performance = {"channel": "performance"}
    stored.put(store, *(stored.record(k) for k in range(20)))
    assert value(collector, "monitor_verdict", **performance, verdict="insufficient_data") == 1
    stored.put(store, stored.record(9, performance=stored.matured(0.8, 0.3)))  # a few labels do not make a verdict
    assert value(collector, "monitor_verdict", **performance, verdict="insufficient_data") == 1
    stored.put(store, labelled(5, 0.8))
    assert value(collector, "monitor_verdict", **performance, verdict="ok") == 1
    assert value(collector, "monitor_verdict", **performance, verdict="insufficient_data") == 0
    assert value(collector, "monitor_evidence", **performance) == 1.0
    stored.put(store, stored.record(20))
    assert value(collector, "monitor_evidence", **performance) == 1.0
    assert value(collector, "monitor_judged_batches_total", **performance) == 1


def test_achieved_and_promised_rate_stand_beside_each_other(store: SqlStore):
    collector = collector_of(store)
    assert value(collector, "monitor_alarms_total", channel="inputs") == 0
    for k, (alarms, judged) in enumerate([(0, 1), (1, 2), (1, 3), (None, None)]):
        verdict = replace(stored.seen(Channel.INPUTS, Verdict.OK), alarms=alarms, judged=judged)
        stored.put(store, stored.record(k, verdicts={Channel.INPUTS: verdict}))
        list(collector.collect())
    for one in (collector, collector_of(store)):  # the same for a new process
        assert value(one, "monitor_alarms_total", channel="inputs") == 1
        assert value(one, "monitor_judged_batches_total", channel="inputs") == 3
        assert value(one, "monitor_promised_batches_per_alarm", channel="inputs") == 3.0


def test_labels_that_come_in_another_order_never_lower_a_counter(store: SqlStore):
    stored.put(store, *(stored.record(k) for k in range(4)))
    collector, counted = collector_of(store), [0.0]
    for judged, k in enumerate((1, 0, 2, 3), start=1):
        stored.put(store, labelled(k, 0.8, alarms=judged // 2, judged=judged))
        counted.append(value(collector, "monitor_judged_batches_total", channel="performance"))
    assert counted == sorted(counted)
    for one in (collector, collector_of(store)):
        assert value(one, "monitor_judged_batches_total", channel="performance") == 4
        assert value(one, "monitor_alarms_total", channel="performance") == 2


def test_distance_and_incident_are_of_the_last_batch_and_of_the_budgeted_detector_only(store: SqlStore):
    far = (ColumnFinding(name="price", measure="location", shift=0.2),)
    verdict = replace(stored.seen(Channel.INPUTS, Verdict.OK), distance=0.2, beyond=far, incidents=far)
    verdicts = {**stored.record(0).verdicts, Channel.INPUTS: verdict}
    stored.put(store, stored.record(0, verdicts=verdicts))
    collector = collector_of(store)
    names = ("monitor_distance", "monitor_beyond", "monitor_incident")
    assert [value(collector, name, channel="inputs") for name in names] == [0.2, 1, 1]
    assert [value(collector, name, channel="predictions") for name in names] == [0.05, 0, 0]
    assert [value(collector, name, channel="performance") for name in names] == [None, None, None]
    per_batch = collector_of(store, detect={"rule": "per_batch"})
    for name in (*names, "monitor_promised_batches_per_alarm"):
        assert value(per_batch, name, channel="inputs") is None


def test_columns_are_bounded_and_the_rest_is_other(store: SqlStore):
    stored.put(store, drifting(0, {f"x{i:02d}": i / 100 for i in range(1, 31)}))
    (family,) = (f for f in collector_of(store).collect() if f.name == "monitor_column_shift")
    shifts = {s.labels["column"]: s.value for s in family.samples}
    assert len(shifts) == 11
    assert shifts["x30"] == 0.30
    assert shifts["other"] == 0.20  # the largest of those without a series of their own


def test_measures_are_exported_when_asked_for(store: SqlStore):
    stored.put(store, stored.record(0), stored.record(1))
    put_measures(store, stored.record(0).batch, measured("inputs", "price", "ks", 0.9, 0.9))
    put_measures(
        store,
        stored.record(1).batch,
        measured("inputs", "price", "ks", 0.3, 0.3),
        measured("inputs", "price", "psi", 0.7, 0.7),
        measured("inputs", "day", "ks", None, None),  # not measured: no series
        measured("predictions", "score", "ks", 0.1, 0.1),
    )
    (family,) = (f for f in exporting(store, "ks").collect() if f.name == "monitor_measure")
    found = {(s.labels["channel"], s.labels["column"], s.labels["measure"]): s.value for s in family.samples}
    assert found == {("inputs", "price", "ks"): 0.3, ("predictions", "score", "ks"): 0.1}
    assert not [f for f in exporting(store).collect() if f.name == "monitor_measure"]


def test_measured_columns_are_bounded_by_their_effect(store: SqlStore):
    stored.put(store, stored.record(0))
    many = [measured("inputs", f"x{i}", "ks", 0.5, i / 1000) for i in range(1000)]
    put_measures(store, stored.record(0).batch, *many)
    (family,) = (f for f in exporting(store, "ks").collect() if f.name == "monitor_measure")
    assert {s.labels["column"] for s in family.samples} == {f"x{i}" for i in range(800, 1000)}


def test_classes_are_bounded_and_the_shares_still_add_up_to_one(store: SqlStore):
    prior = {f"c{i}": ClassShare(share=1 / 200, low=0.0, high=0.1) for i in range(200)}
    stored.put(store, stored.record(0, label_prior=prior))
    (family,) = (f for f in collector_of(store).collect() if f.name == "monitor_label_share_ratio")
    assert len(family.samples) == 51
    assert sum(s.value for s in family.samples) == pytest.approx(1.0)


def test_the_series_of_a_retired_version_is_gone(store: SqlStore):
    collector = collector_of(store)
    stored.put_champion(store, stored.manifest(1))
    assert value(collector, "monitor_model_info", version="1", origin="initial", candidate="all") == 1
    stored.put_champion(store, stored.manifest(2, origin="retrain", candidate="recent_1x"))
    assert value(collector, "monitor_model_info", version="1", origin="initial", candidate="all") is None
    assert value(collector, "monitor_model_info", version="2", origin="retrain", candidate="recent_1x") == 1


def test_performance_is_that_of_the_newest_window_with_labels_however_late_they_come(store: SqlStore):
    collector = collector_of(store)
    stored.put(store, *(stored.record(k) for k in range(100)))
    assert value(collector, "monitor_performance", metric="accuracy") is None
    for k in (3, 4, 7):
        stored.put(store, stored.record(k, performance=stored.matured(0.5 + k / 100, 0.9)))
        assert value(collector, "monitor_performance", metric="accuracy") == 0.5 + k / 100
    assert value(collector, "monitor_labels_coverage_ratio") == 0.9
    end = (stored.FIRST + timedelta(days=8)).timestamp()
    assert value(collector, "monitor_performance_window_end_timestamp_seconds") == end


def test_restated_labels_change_the_gauge_and_no_counter(store: SqlStore):
    collector = collector_of(store)
    stored.put(store, stored.record(0, performance=stored.matured(0.9, 0.8)))
    assert value(collector, "monitor_performance", metric="accuracy") == 0.9
    usual = stored.record(0).verdicts
    drift = {**usual, Channel.PERFORMANCE: stored.seen(Channel.PERFORMANCE, Verdict.DRIFT)}
    stored.put(store, stored.record(0, performance=stored.matured(0.4), verdicts=drift))
    assert value(collector, "monitor_performance", metric="accuracy") == 0.4
    assert value(collector, "monitor_batches_total", verdict="ok") == 1
    assert value(collector_of(store), "monitor_batches_total", verdict="ok") == 1  # as a new process counts


def test_the_interval_of_a_shift_holds_its_size(store: SqlStore):
    stored.put(store, drifting(0, {"price": -0.3, "day": 0.2}))
    collector, inputs = collector_of(store), {"channel": "inputs"}
    ends = [value(collector, f"monitor_column_shift_{end}", **inputs, column="price") for end in ("low", "high")]
    assert ends == pytest.approx([0.27, 0.32])
    ends = [value(collector, f"monitor_column_shift_{end}", **inputs, column="day") for end in ("low", "high")]
    assert ends == pytest.approx([0.18, 0.23])


def test_a_pass_is_shown_while_it_is_made_and_its_error_until_the_next(store: SqlStore):
    at = stored.FIRST
    never, busy = collector_of(store), collector_of(store, health=Health(at_work_since=at))
    failed = collector_of(store, health=Health(last_pass=at, last_success=at, error="no luck today"))
    assert value(never, "monitor_pass_failed") is None
    assert value(busy, "monitor_pass_started_timestamp_seconds") == at.timestamp()
    assert value(busy, "monitor_last_success_timestamp_seconds") is None
    assert value(failed, "monitor_pass_failed") == 1
    assert value(failed, "monitor_pass_started_timestamp_seconds") is None
    assert value(failed, "monitor_last_success_timestamp_seconds") == at.timestamp()


def test_the_series_of_a_deployment_that_is_taken_away_are_gone(store: SqlStore):
    deployments = {name: stored.deployment(name) for name in ("prices", "shop")}
    registry = registry_of(StoreCollector(store, deployments, lambda _: Health()))
    assert registry.get_sample_value("monitor_rows_total", {"deployment": "shop"}) == 0
    del deployments["shop"]
    assert registry.get_sample_value("monitor_rows_total", {"deployment": "shop"}) is None
    assert registry.get_sample_value("monitor_rows_total", PRICES) == 0


def test_a_column_that_is_in_line_again_has_no_series(store: SqlStore):
    collector = collector_of(store)
    stored.put(store, drifting(0, {"price": 0.3}))
    assert value(collector, "monitor_column_shift", channel="inputs", column="price") == 0.3
    stored.put(store, stored.record(1))
    assert value(collector, "monitor_column_shift", channel="inputs", column="price") is None


def test_files_that_wait_and_when_the_last_one_came(store: SqlStore):
    for k in range(3):
        arrived = stored.FIRST + k * timedelta(hours=6)
        entry = stored.see(store, DeliveryKind.BATCH, f"b{k}", arrived)
        if k < 2:
            stored.settle(store, entry)
    collector = collector_of(store)
    assert value(collector, "monitor_waiting_deliveries", kind="batch") == 1
    assert value(collector, "monitor_waiting_deliveries", kind="labels") == 0
    assert value(collector, "monitor_last_arrival_timestamp_seconds", kind="batch") == arrived.timestamp()
    assert value(collector, "monitor_last_arrival_timestamp_seconds", kind="labels") is None
    assert value(collector, "monitor_batch_interval_seconds") == 6 * 3600
    told = collector_of(store, batches={"path": "in/*.parquet", "every": "1h"})
    assert value(told, "monitor_batch_interval_seconds") == 3600


def test_the_usual_interval_knows_weekends_and_backlogs():
    def days(*numbers: float) -> list[datetime]:
        return [stored.FIRST + number * stored.DAY for number in numbers]

    assert usual_interval(days(0, 1, 4, 5), days(0, 1, 4, 5)) == timedelta(days=3)
    assert usual_interval(days(9, 9, 9), days(0, 1, 2)) == stored.DAY
    assert usual_interval(days(9), days(3)) is None
    assert usual_interval(days(9, 9), days(3, 3)) is None


def test_batches_whose_labels_should_have_come_are_counted(store: SqlStore):
    labels = {"path": "labels/*.parquet", "delay": "2d", "matured_at": 0.8}
    collector = collector_of(store, labels=labels)
    assert value(collector, "monitor_labels_overdue_batches") is None
    stored.put(store, *(stored.record(k) for k in range(3)))
    assert value(collector, "monitor_labels_overdue_batches") == 0  # due with the next batch
    stored.put(store, *(stored.record(k) for k in range(3, 6)))
    assert value(collector, "monitor_labels_overdue_batches") == 3
    stored.put(store, stored.record(1, performance=stored.matured(0.8)))
    assert value(collector, "monitor_labels_overdue_batches") == 1  # of day 2; earlier ones are given up
    learnt = collector_of(store, labels={"path": "labels/*.parquet", "available_at": "known"})
    assert value(learnt, "monitor_labels_overdue_batches") is None, "nothing says when they come"
    stored.put_arrivals(store, batches=20)
    assert value(learnt, "monitor_labels_settled_batches") == 1
    assert value(learnt, "monitor_labels_overdue_batches") == 2  # of days 2 and 3; those of day 4 may come with day 6
    stored.put(store, stored.record(3, performance=stored.matured(0.8)))
    assert value(learnt, "monitor_labels_overdue_batches") == 0
    assert value(collector_of(store, labels=None, retrain={"mode": "off"}), "monitor_labels_overdue_batches") is None


def test_fifty_deployments_of_a_thousand_columns_are_bounded(store: SqlStore):
    """All columns have moved, all classes are there, and what is exported of them is bounded."""
    wide = {f"x{i}": 0.1 + i / 10_000 for i in range(1000)}
    prior = {f"c{i}": ClassShare(share=1 / 200, low=0.0, high=0.1) for i in range(200)}
    names = [f"model-{n}" for n in range(50)]
    seconds = dict.fromkeys(("read", "score", "detect", "record"), 0.1)
    one = replace(drifting(0, wide), label_prior=prior, seconds=seconds)
    stored.put(store, *(replace(one, deployment=name) for name in names))
    collector = collector_of(store, *names)
    series = [s for family in collector.collect() for s in family.samples]
    per_deployment = len(series) / len(names)
    assert per_deployment < 400
    assert {s.labels["column"] for s in series if s.name == "monitor_column_shift"} == {
        *(f"x{i}" for i in range(990, 1000)),
        "other",
    }


class CountingStore:
    """The real store, counting the records it hands out."""

    def __init__(self, store: SqlStore) -> None:
        self._store, self.records_read = store, 0

    def records(self, deployment: str, *, last: int | None = None):
        found = self._store.records(deployment, last=last)
        self.records_read += len(found)
        return found

    def __getattr__(self, name: str):
        return getattr(self._store, name)


def test_a_scrape_does_not_read_the_history_again(store: SqlStore):
    stored.put(store, *(labelled(k, 0.8) for k in range(300)))
    counting = CountingStore(store)
    collector = StoreCollector(counting, {"prices": stored.deployment()}, lambda _: Health())
    list(collector.collect())
    assert counting.records_read == 300
    list(collector.collect())
    assert counting.records_read == 301
    stored.put(store, stored.record(300))
    list(collector.collect())
    assert counting.records_read == 303


def test_a_store_that_does_not_answer_is_up_zero_and_no_error(tmp_path: Path, store: SqlStore):
    stored.put(store, stored.record(0))
    collector = collector_of(store)
    store.close()
    for one in tmp_path.glob("monitor.db*"):
        one.unlink()
    (tmp_path / "monitor.db").mkdir()
    names = {s.name: s.value for family in collector.collect() for s in family.samples}
    assert names == {"monitor_up": 0.0, "monitor_build_info": 1.0}

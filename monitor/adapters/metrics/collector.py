"""One collector that reads the store at each scrape and remembers only how far it has counted.

Every series is made from what is stored, so series of a retired model version or deployment vanish with it, and
counters go on where they were after a restart. Labels come from closed sets; columns and classes are bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.adapters.metrics import samples
from monitor.adapters.metrics.arrivals import usual_interval
from monitor.adapters.metrics.catalogue import BUILD, UP, Scrape
from monitor.adapters.metrics.refused_labels import RefusedLabels
from monitor.adapters.metrics.tally import CHAMPION_EVENTS, OUTCOMES, Tally
from monitor.app.daemon import Health
from monitor.app.journal import BAD_DATA
from monitor.app.label_memory import LabelMemory
from monitor.app.ports import Store
from monitor.app.push import REFUSED
from monitor.app.standard_status import missed_standard
from monitor.app.unmatched_labels import unmatched_labels
from monitor.app.versions import champion_manifest
from monitor.config.deployment import Deployment
from monitor.domain.batch import DeliveryKind
from monitor.domain.policy import Decision
from monitor.domain.quarantine import RowReason
from monitor.domain.trial import FINDINGS
from monitor.domain.verdict import Channel, Verdict
from monitor.domain.version import Alias
from monitor.errors import StoreError

_ARRIVALS = 20  # looked back on

HealthOf = Callable[[str], Health]  # of a deployment, in this process


class StoreCollector(Collector):
    """Reads the last record and the champion of each deployment, and counts the records that are new.

    A scrape reads as many records as have come since the last one, and back to the newest window with labels. The
    first scrape of a process reads the whole history once. `deployments` is looked at anew each time.
    """

    def __init__(self, store: Store, deployments: Mapping[str, Deployment], health_of: HealthOf) -> None:
        self._store = store
        self._deployments = deployments
        self._health_of = health_of
        self._tallies: dict[str, Tally] = {}
        self._refused_labels: dict[str, RefusedLabels] = {}
        self._one_at_a_time = threading.Lock()  # two scrapes at once would count the same records

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("monitor_up", UP)
        build = GaugeMetricFamily("monitor_build_info", BUILD, labels=("version",))
        build.add_metric((version("driftloop"),), 1)
        scrape = Scrape()
        try:
            with self._one_at_a_time:
                deployments = dict(self._deployments)
                self._tallies = {name: self._tallies.get(name) or Tally(self._store, name) for name in deployments}
                self._refused_labels = {
                    name: self._refused_labels.get(name) or RefusedLabels(self._store, name) for name in deployments
                }
                for name, deployment in deployments.items():
                    self._collect(scrape, name, deployment)
        except StoreError:
            up.add_metric((), 0)
            yield from (up, build)
            return
        up.add_metric((), 1)
        yield from (up, build, *scrape.families())

    def _collect(self, scrape: Scrape, name: str, deployment: Deployment) -> None:
        tally = self._tallies[name]
        tally.update()
        _counters(scrape, name, tally)
        _passes(scrape, name, self._health_of(name))
        self._deliveries(scrape, name, deployment, tally)
        metric = deployment.performance.metric
        scrape.add("performance_floor", deployment.performance.floor, name, metric)
        self._model(scrape, name, metric)
        if tally.newest is not None:
            samples.last_batch(scrape, name, tally.newest)
            samples.estimated(scrape, name, metric, tally.newest)
            samples.channels(scrape, deployment, tally.newest, tally.judged or tally.newest)
            if deployment.detect.export:
                samples.measured(scrape, deployment, self._store.measures(name, tally.newest["batch"]))
        if tally.matured is not None:
            samples.performance(scrape, name, metric, tally.matured)
        if deployment.labels is not None:
            refused = self._refused_labels[name]
            refused.update()
            _quarantined(scrape, name, DeliveryKind.LABELS, refused.rows)
            memory = LabelMemory.load(self._store, name)
            samples.labels(scrape, name, memory)
            samples.unmatched(scrape, name, unmatched_labels(self._store, name))
            overdue = tally.overdue(deployment.labels, memory.arrivals.curve.settled)
            scrape.add("labels_overdue_batches", overdue, name)
            missed = missed_standard(self._store, deployment)
            scrape.add("performance_not_restored", float(missed is not None and missed.lasting), name)

    def _model(self, scrape: Scrape, name: str, metric: str) -> None:
        waits = self._store.alias(name, Alias.CANDIDATE) is not None
        scrape.add("candidate_waiting", float(waits), name)
        if (manifest := champion_manifest(self._store, name)) is None:
            return
        scrape.add("model_info", 1, name, str(manifest.version), manifest.origin, manifest.candidate)
        scrape.add("model_created_timestamp_seconds", manifest.created.timestamp(), name)
        scrape.add("model_training_rows", manifest.lineage.rows, name)
        scrape.add("performance_held_out", manifest.metrics.get(metric), name, metric)

    def _deliveries(self, scrape: Scrape, name: str, deployment: Deployment, tally: Tally) -> None:
        for metric, event in (("last_bad_batch", BAD_DATA), ("last_refused_push", REFUSED)):
            for newest in self._store.events(name, event=event, last=1):
                scrape.add(f"{metric}_timestamp_seconds", samples.timestamp(newest["at"]), name)
        for kind in DeliveryKind:
            scrape.add("waiting_deliveries", self._store.count_waiting(name, kind), name, kind.value)
            arrivals = self._store.arrivals(name, kind, last=_ARRIVALS)
            if arrivals:
                scrape.add("last_arrival_timestamp_seconds", max(arrivals).timestamp(), name, kind.value)
            if kind is DeliveryKind.BATCH:
                interval = deployment.batches.every or usual_interval(arrivals, tally.window_ends)
                scrape.add("batch_interval_seconds", interval.total_seconds() if interval else None, name)


def registry_of(*collectors: Collector) -> CollectorRegistry:
    """A registry of its own with these and this process's memory, CPU time and open files."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def _passes(scrape: Scrape, name: str, health: Health) -> None:
    for metric, at in (("last_success", health.last_success), ("pass_started", health.at_work_since)):
        scrape.add(f"{metric}_timestamp_seconds", at.timestamp() if at else None, name)
    if health.last_pass is not None:
        scrape.add("pass_failed", float(health.error is not None), name)


def _quarantined(scrape: Scrape, name: str, kind: DeliveryKind, counted: Mapping[str, int]) -> None:
    for reason in RowReason:
        scrape.add("quarantined_rows", counted.get(reason, 0), name, kind.value, reason.value)


def _counters(scrape: Scrape, name: str, tally: Tally) -> None:
    """Every member of the closed sets from the start, so that the first increase is seen as one."""
    for verdict in Verdict:
        scrape.add("batches", tally.batches[verdict], name, verdict.value)
    for channel in Channel:
        scrape.add("alarms", tally.alarms.get(channel, 0), name, channel.value)
        scrape.add("judged_batches", tally.watched.get(channel, 0), name, channel.value)
    for decision in Decision:
        scrape.add("decisions", tally.decisions[decision], name, decision.value)
    for outcome in OUTCOMES:
        scrape.add("retrain_attempts", tally.attempts[outcome], name, outcome)
    for finding in FINDINGS:
        scrape.add("trials", tally.trials[finding], name, finding)
    for event in CHAMPION_EVENTS:
        scrape.add("champion_changes", tally.champion_changes[event], name, event)
    _quarantined(scrape, name, DeliveryKind.BATCH, tally.quarantined)
    scrape.add("rows", tally.rows, name)
    for stage, durations in tally.stages.items():
        scrape.add_histogram("stage_seconds", durations.buckets(), durations.total, name, stage)
    if tally.last_attempt is not None:
        scrape.one_of("last_attempt", OUTCOMES, tally.last_attempt["outcome"], name)

"""Prometheus metrics: one collector that reads the store at each scrape and remembers only how far it has counted.

Every series is made from what is stored, so series of a retired model version vanish with it, and counters go on
where they were after a restart. Labels come from closed sets; columns and classes are bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.adapters.metric_counts import Tally
from monitor.app.label_memory import LabelMemory
from monitor.app.ports import Store
from monitor.config.deployment import Deployment
from monitor.domain.gate import Outcome
from monitor.domain.label_trust import Standing
from monitor.domain.policy import Decision
from monitor.domain.verdict import Channel, Verdict
from monitor.domain.version import Alias
from monitor.errors import StoreError

OTHER = "other"  # stands for the columns and classes that have no series of their own
_MOST_COLUMNS = 10  # per deployment and channel
_MOST_MEASURED = 200  # columns per deployment, channel and measure
_MOST_CLASSES = 50  # per deployment

LastPass = Callable[[str], datetime | None]  # when a deployment was last worked through without an error

_GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "verdict": ("1 for the verdict of the last judged batch, else 0.", ("channel", "verdict")),
    "evidence": ("What speaks for drift, in the unit of the detection rule.", ("channel",)),
    "evidence_threshold": ("Evidence from which on the verdict is drift.", ("channel",)),
    "promised_batches_per_alarm": ("Fewest batches per false alarm on average, under rule budget.", ("channel",)),
    "distance": ("Distance of the farthest column from the training reference, on the AUC scale.", ("channel",)),
    "beyond": ("1 while a column is surely farther from the training reference than max_distance.", ("channel",)),
    "incident": ("1 when a column was out of line on the last judged batch alone.", ("channel",)),
    "column_shift": ("Shift of the columns that moved in the last batch, on the AUC scale.", ("channel", "column")),
    "measure": ("Measures named in detect.export, of the last judged batch.", ("channel", "column", "measure")),
    "performance": ("Realised performance of the newest window with enough labels.", ("metric",)),
    "performance_low": ("Lower end of the interval of the realised performance.", ("metric",)),
    "performance_high": ("Upper end of the interval of the realised performance.", ("metric",)),
    "performance_floor": ("Performance worse than this is drift, whatever the test says.", ("metric",)),
    "performance_held_out": ("What the champion reached on its held-out rows.", ("metric",)),
    "performance_window_end_timestamp_seconds": ("End of the window that the realised performance is of.", ()),
    "labels_coverage_ratio": ("Share of the rows of that window that have a label.", ()),
    "labels_reachable_ratio": ("Share of a window's rows that have a label in the end, as learnt.", ()),
    "labels_settled_batches": ("Batches after which nearly all labels that come are there, as learnt.", ()),
    "labels_to_come_rows": ("Labels that are still to be expected.", ()),
    "labels_held_windows": ("Windows whose labels are held until somebody says whether they are right.", ()),
    "labels_held_rows": ("Labelled rows of these windows.", ()),
    "label_share_ratio": ("Estimated share of each class in the last batch.", ("class",)),
    "label_share_low_ratio": ("Lower end of the interval of the share.", ("class",)),
    "label_share_high_ratio": ("Upper end of the interval of the share.", ("class",)),
    "label_shift_fit_p_value": ("How well the scores of the last batch fit these shares; small: not at all.", ()),
    "model_info": ("1 for the champion.", ("version", "origin", "candidate")),
    "model_created_timestamp_seconds": ("When the champion was trained.", ()),
    "model_training_rows": ("Rows that the champion was fitted on.", ()),
    "last_batch_window_end_timestamp_seconds": ("End of the window of the last judged batch.", ()),
    "last_batch_rows": ("Rows of the last judged batch that were scored.", ()),
    "last_batch_stage_seconds": ("Time that the last judged batch spent in each stage.", ("stage",)),
    "last_success_timestamp_seconds": ("When this process last worked through all that waited.", ()),
}
_COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "batches": ("Judged batches, by the verdict when they came (performance is not known by then).", ("verdict",)),
    "alarms": ("Alarms raised since the deployment began.", ("channel",)),
    "judged_batches": ("Batches that could have raised one.", ("channel",)),
    "rows": ("Rows scored.", ()),
    "quarantined_rows": ("Rows put into quarantine.", ()),
    "decisions": ("What was decided after each batch.", ("decision",)),
    "retrain_attempts": ("Attempts to retrain.", ("outcome",)),
}


def metric_names() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Exported name → (type, help, labels) of everything that `StoreCollector` may yield."""
    own = {"monitor_up": ("gauge", _UP, ()), "monitor_build_info": ("gauge", _BUILD, ("version",))}
    gauges = {f"monitor_{n}": ("gauge", text, ("deployment", *labels)) for n, (text, labels) in _GAUGES.items()}
    counters = {
        f"monitor_{n}_total": ("counter", text, ("deployment", *labels)) for n, (text, labels) in _COUNTERS.items()
    }
    return own | gauges | counters


_UP = "1 when the store answered at this scrape, else 0 and nothing else is known."
_BUILD = "1 for the version that is running."


class _Scrape:
    """The families of one scrape, filled sample by sample; what is not known gets no sample."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        for name, (text, labels) in _GAUGES.items():
            self._families[name] = GaugeMetricFamily(f"monitor_{name}", text, labels=("deployment", *labels))
        for name, (text, labels) in _COUNTERS.items():
            self._families[name] = CounterMetricFamily(f"monitor_{name}", text, labels=("deployment", *labels))

    def add(self, name: str, value: float | None, *labels: str) -> None:
        if value is not None:
            self._families[name].add_metric(labels, value)  # type: ignore[attr-defined]  # both kinds have it

    def families(self) -> Iterable[Metric]:
        return (family for family in self._families.values() if family.samples)


class StoreCollector(Collector):
    """Reads the last record and the champion of each deployment, and counts the records that are new.

    A scrape reads as many records as have come since the last one, and back to the newest window with labels. The
    first scrape of a process reads the whole history once.
    """

    def __init__(self, store: Store, deployments: Mapping[str, Deployment], last_pass: LastPass) -> None:
        self._store = store
        self._deployments = deployments
        self._last_pass = last_pass
        self._tallies = {name: Tally(store, name) for name in deployments}
        self._one_at_a_time = threading.Lock()  # two scrapes at once would count the same records

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("monitor_up", _UP)
        build = GaugeMetricFamily("monitor_build_info", _BUILD, labels=("version",))
        build.add_metric((version("driftloop"),), 1)
        scrape = _Scrape()
        try:
            with self._one_at_a_time:
                for name, deployment in self._deployments.items():
                    self._collect(scrape, name, deployment)
        except StoreError:
            up.add_metric((), 0)
            yield from (up, build)
            return
        up.add_metric((), 1)
        yield from (up, build, *scrape.families())

    def _collect(self, scrape: _Scrape, name: str, deployment: Deployment) -> None:
        tally = self._tallies[name]
        tally.update()
        _counters(scrape, name, tally)
        at = self._last_pass(name)
        scrape.add("last_success_timestamp_seconds", at.timestamp() if at else None, name)
        metric = deployment.performance.metric
        scrape.add("performance_floor", deployment.performance.floor, name, metric)
        self._model(scrape, name, metric)
        if tally.newest is not None:
            _last_batch(scrape, name, tally.newest)
            _channels(scrape, deployment, tally.newest, tally.judged or tally.newest)
            if deployment.detect.export:
                _measured(scrape, deployment, self._store.measures(name, tally.newest["batch"]))
        if tally.matured is not None:
            _performance(scrape, name, metric, tally.matured)
        if deployment.labels is not None:
            _labels(scrape, name, LabelMemory.load(self._store, name))

    def _model(self, scrape: _Scrape, name: str, metric: str) -> None:
        number = self._store.alias(name, Alias.CHAMPION)
        manifest = None if number is None else self._store.manifest(name, number)
        if manifest is None:
            return
        scrape.add("model_info", 1, name, str(manifest.version), manifest.origin, manifest.candidate)
        scrape.add("model_created_timestamp_seconds", manifest.created.timestamp(), name)
        scrape.add("model_training_rows", manifest.lineage.rows, name)
        scrape.add("performance_held_out", manifest.metrics.get(metric), name, metric)


def registry_of(collector: StoreCollector) -> CollectorRegistry:
    """A registry of its own with the collector and this process's memory, CPU time and open files."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


def _counters(scrape: _Scrape, name: str, tally: Tally) -> None:
    """Every member of the closed sets from the start, so that the first increase is seen as one."""
    for verdict in Verdict:
        scrape.add("batches", tally.batches[verdict], name, verdict.value)
    for channel in Channel:
        scrape.add("alarms", tally.alarms.get(channel, 0), name, channel.value)
        scrape.add("judged_batches", tally.watched.get(channel, 0), name, channel.value)
    for decision in Decision:
        scrape.add("decisions", tally.decisions[decision], name, decision.value)
    for outcome in (*Outcome, "failed"):
        scrape.add("retrain_attempts", tally.attempts[outcome], name, str(outcome))
    scrape.add("rows", tally.rows, name)
    scrape.add("quarantined_rows", tally.quarantined, name)


def _last_batch(scrape: _Scrape, name: str, record: Mapping[str, Any]) -> None:
    for stage, seconds in record["seconds"].items():
        scrape.add("last_batch_stage_seconds", seconds, name, stage)
    scrape.add("last_batch_window_end_timestamp_seconds", _timestamp(record["window_end"]), name)
    scrape.add("last_batch_rows", record["rows"], name)
    _label_shares(scrape, name, record["label_prior"])
    scrape.add("label_shift_fit_p_value", record["label_fit"], name)


def _channels(scrape: _Scrape, deployment: Deployment, newest: Mapping[str, Any], labelled: Mapping[str, Any]) -> None:
    """Performance of `labelled`, the newest record that it was judged of: the last batch's labels come later."""
    for channel in Channel:
        record = labelled if channel is Channel.PERFORMANCE else newest
        if (seen := record["verdicts"].get(channel.value)) is not None:
            _channel(scrape, deployment.name, channel.value, seen)
            if deployment.detect.rule == "budget":
                _budget(scrape, deployment.name, channel.value, seen)


def _budget(scrape: _Scrape, name: str, channel: str, seen: Mapping[str, Any]) -> None:
    """What only the budgeted detector knows; nothing of a batch that it has not seen."""
    scrape.add("promised_batches_per_alarm", seen["threshold"], name, channel)
    scrape.add("distance", seen["distance"], name, channel)
    if seen["distance"] is not None:
        scrape.add("beyond", float(bool(seen["beyond"])), name, channel)
    if seen["judged"] is not None:
        scrape.add("incident", float(bool(seen["incidents"])), name, channel)


def _channel(scrape: _Scrape, name: str, channel: str, seen: Mapping[str, Any]) -> None:
    for verdict in Verdict:
        scrape.add("verdict", float(seen["verdict"] == verdict), name, channel, verdict.value)
    scrape.add("evidence", seen["evidence"], name, channel)
    scrape.add("evidence_threshold", seen["threshold"], name, channel)
    shifts: dict[str, float] = {}
    for column in seen["columns"]:
        shifts[column["name"]] = max(shifts.get(column["name"], 0.0), abs(column["shift"]))
    ranked = sorted(shifts, key=lambda column: -shifts[column])
    for column in ranked[:_MOST_COLUMNS]:
        scrape.add("column_shift", shifts[column], name, channel, column)
    if rest := ranked[_MOST_COLUMNS:]:
        scrape.add("column_shift", shifts[rest[0]], name, channel, OTHER)


def _measured(scrape: _Scrape, deployment: Deployment, stored: Sequence[Mapping[str, Any]]) -> None:
    """Columns beyond `_MOST_MEASURED` are left out, those with the smallest effects first."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for measure in stored:
        if measure["measure"] in deployment.detect.export and measure["statistic"] is not None:
            found.setdefault((measure["channel"], measure["measure"]), []).append(measure)
    for (channel, name), measures in found.items():
        measures.sort(key=lambda m: -abs(m["effect"] or 0.0))
        for m in measures[:_MOST_MEASURED]:
            scrape.add("measure", m["statistic"], deployment.name, channel, m["column"], name)


def _label_shares(scrape: _Scrape, name: str, prior: Mapping[str, Mapping[str, float]]) -> None:
    """With more classes than `_MOST_CLASSES` the rarest ones are summed up, without an interval."""
    ranked: Sequence[str] = sorted(prior, key=lambda label: -prior[label]["share"])
    for label in ranked[:_MOST_CLASSES]:
        scrape.add("label_share_ratio", prior[label]["share"], name, label)
        scrape.add("label_share_low_ratio", prior[label]["low"], name, label)
        scrape.add("label_share_high_ratio", prior[label]["high"], name, label)
    if rest := ranked[_MOST_CLASSES:]:
        scrape.add("label_share_ratio", sum(prior[label]["share"] for label in rest), name, OTHER)


def _performance(scrape: _Scrape, name: str, metric: str, record: Mapping[str, Any]) -> None:
    known = record["performance"]
    scrape.add("performance", known["realised"], name, metric)
    scrape.add("performance_low", known["low"], name, metric)
    scrape.add("performance_high", known["high"], name, metric)
    scrape.add("labels_coverage_ratio", known["labels_coverage"], name)
    scrape.add("performance_window_end_timestamp_seconds", _timestamp(record["window_end"]), name)


def _labels(scrape: _Scrape, name: str, memory: LabelMemory) -> None:
    """What is learnt has no sample until it is known."""
    curve, held = memory.arrivals.curve, memory.trust.of(Standing.HELD)
    scrape.add("labels_reachable_ratio", None if curve.settled is None else curve.reachable, name)
    scrape.add("labels_settled_batches", curve.settled, name)
    scrape.add("labels_to_come_rows", memory.arrivals.to_come, name)
    scrape.add("labels_held_windows", len(held), name)
    scrape.add("labels_held_rows", sum(doubt.rows for doubt in held), name)


def _timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()

"""From one record of the history to samples. Columns and classes are bounded; the rest is summed up as `other`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.adapters.metrics.catalogue import Scrape
from monitor.app.label_memory import LabelMemory
from monitor.config.deployment import Deployment
from monitor.domain.label_arrival import Unmatched
from monitor.domain.label_trust import Standing
from monitor.domain.performance_estimate import Assumption
from monitor.domain.policy import Decision
from monitor.domain.shift_kind import ShiftKind
from monitor.domain.verdict import Channel, Verdict

OTHER = "other"  # stands for the columns and classes that have no series of their own
_MOST_COLUMNS = 10  # per deployment and channel
_MOST_MEASURED = 200  # columns per deployment, channel and measure
_MOST_CLASSES = 50  # per deployment

Record = Mapping[str, Any]


def last_batch(scrape: Scrape, name: str, record: Record) -> None:
    scrape.add("last_batch_window_end_timestamp_seconds", timestamp(record["window_end"]), name)
    scrape.add("last_batch_rows", record["rows"], name)
    scrape.one_of("last_decision", Decision, record["decision"], name)
    _label_shares(scrape, name, record["label_prior"])
    scrape.add("label_shift_fit_p_value", record["label_fit"], name)
    for kind in ShiftKind:
        scrape.add("shift_kind", float((record["shift"] or {}).get("kind") == kind), name, kind.value)


def channels(scrape: Scrape, deployment: Deployment, newest: Record, labelled: Record) -> None:
    """Performance of `labelled`, the newest record that it was judged of: the last batch's labels come later."""
    for channel in Channel:
        record = labelled if channel is Channel.PERFORMANCE else newest
        if (seen := record["verdicts"].get(channel.value)) is not None:
            _channel(scrape, deployment.name, channel.value, seen)
            if deployment.detect.rule == "budget":
                _budget(scrape, deployment.name, channel.value, seen)


def measured(scrape: Scrape, deployment: Deployment, stored: Sequence[Record]) -> None:
    """Columns beyond `_MOST_MEASURED` are left out, those with the smallest effects first."""
    found: dict[tuple[str, str], list[Record]] = {}
    for measure in stored:
        if measure["measure"] in deployment.detect.export and measure["statistic"] is not None:
            found.setdefault((measure["channel"], measure["measure"]), []).append(measure)
    for (channel, name), measures in found.items():
        measures.sort(key=lambda m: -abs(m["effect"] or 0.0))
        for m in measures[:_MOST_MEASURED]:
            scrape.add("measure", m["statistic"], deployment.name, channel, m["column"], name)


def estimated(scrape: Scrape, name: str, metric: str, record: Record) -> None:
    known = record["performance"]
    scrape.add("performance_estimated", known["estimated"], name, metric)
    scrape.add("performance_estimated_low", known["estimated_low"], name, metric)
    scrape.add("performance_estimated_high", known["estimated_high"], name, metric)
    if known["assumption"] is not None:
        scrape.one_of("performance_assumption", Assumption, known["assumption"], name)
    for segment, levels in record["performance_segments"].items():
        for level, seen in levels.items():
            scrape.add("performance_segment_estimated", seen["estimated"], name, metric, segment, level)


def performance(scrape: Scrape, name: str, metric: str, record: Record) -> None:
    known = record["performance"]
    scrape.add("performance", known["realised"], name, metric)
    scrape.add("performance_low", known["low"], name, metric)
    scrape.add("performance_high", known["high"], name, metric)
    scrape.add("performance_weighted", known["weighted"], name, metric)
    scrape.add("calibration_p_value", known["calibration_p_value"], name)
    scrape.add("labels_selection_p_value", known["selection_p_value"], name)
    if (control := known["control"]) is not None:
        scrape.add("control_parted", float(control["parted"]), name)
        scrape.add("control_performance", control["control"]["metric"], name, metric)
    scrape.add("labels_coverage_ratio", known["labels_coverage"], name)
    scrape.add("performance_window_end_timestamp_seconds", timestamp(record["window_end"]), name)


def labels(scrape: Scrape, name: str, memory: LabelMemory) -> None:
    """What is learnt has no sample until it is known."""
    curve, held = memory.arrivals.curve, memory.trust.of(Standing.HELD)
    scrape.add("labels_reachable_ratio", None if curve.settled is None else curve.reachable, name)
    scrape.add("labels_settled_batches", curve.settled, name)
    scrape.add("labels_to_come_rows", memory.arrivals.to_come, name)
    scrape.add("labels_held_windows", len(held), name)
    scrape.add("labels_held_rows", sum(doubt.rows for doubt in held), name)


def unmatched(scrape: Scrape, name: str, waiting: Unmatched) -> None:
    since = waiting.since
    scrape.add("labels_unmatched_rows", waiting.rows, name)
    scrape.add("labels_unmatched_since_timestamp_seconds", since.timestamp() if since else None, name)


def timestamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _budget(scrape: Scrape, name: str, channel: str, seen: Record) -> None:
    """What only the budgeted detector knows; nothing of a batch that it has not seen."""
    scrape.add("promised_batches_per_alarm", seen["threshold"], name, channel)
    scrape.add("distance", seen["distance"], name, channel)
    if seen["distance"] is not None:
        scrape.add("beyond", float(bool(seen["beyond"])), name, channel)
    if seen["judged"] is not None:
        scrape.add("incident", float(bool(seen["incidents"])), name, channel)


def _channel(scrape: Scrape, name: str, channel: str, seen: Record) -> None:
    scrape.one_of("verdict", Verdict, seen["verdict"], name, channel)
    scrape.add("evidence", seen["evidence"], name, channel)
    scrape.add("evidence_threshold", seen["threshold"], name, channel)
    ranked = _by_shift(seen["columns"])
    for column in ranked[:_MOST_COLUMNS]:
        _shift(scrape, column, name, channel, column["name"])
    if len(ranked) > _MOST_COLUMNS:
        _shift(scrape, ranked[_MOST_COLUMNS], name, channel, OTHER)


def _by_shift(findings: Sequence[Record]) -> list[Record]:
    """The largest finding of each column, the largest first."""
    largest: dict[str, Record] = {}
    for finding in sorted(findings, key=lambda f: -abs(f["shift"])):
        largest.setdefault(finding["name"], finding)
    return list(largest.values())


def _shift(scrape: Scrape, finding: Record, *labels: str) -> None:
    """The size of the shift: of one that is negative the interval is turned round, so that it holds the size."""
    low, high = finding["low"], finding["high"]
    if finding["shift"] < 0:
        low, high = (None if end is None else -end for end in (high, low))
    scrape.add("column_shift", abs(finding["shift"]), *labels)
    scrape.add("column_shift_low", low, *labels)
    scrape.add("column_shift_high", high, *labels)


def _label_shares(scrape: Scrape, name: str, prior: Mapping[str, Mapping[str, float]]) -> None:
    """With more classes than `_MOST_CLASSES` the rarest ones are summed up, without an interval."""
    ranked: Sequence[str] = sorted(prior, key=lambda label: -prior[label]["share"])
    for label in ranked[:_MOST_CLASSES]:
        scrape.add("label_share_ratio", prior[label]["share"], name, label)
        scrape.add("label_share_low_ratio", prior[label]["low"], name, label)
        scrape.add("label_share_high_ratio", prior[label]["high"], name, label)
    if rest := ranked[_MOST_CLASSES:]:
        scrape.add("label_share_ratio", sum(prior[label]["share"] for label in rest), name, OTHER)

"""Every metric by name, with its help and labels, and the families of one scrape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

UP = "1 when the store answered at this scrape, else 0 and nothing else is known."
BUILD = "1 for the version that is running."
CONFIGURATION = {
    "monitor_config_last_reload_successful": "1 when the configuration on disk could be used the last time, else 0.",
    "monitor_config_last_reload_success_timestamp_seconds": "When the configuration in use was read.",
}

Described = Mapping[str, tuple[str, tuple[str, ...]]]  # name without prefix → help, labels besides `deployment`

_VERDICTS: Described = {
    "verdict": ("1 for the verdict of the last judged batch, else 0.", ("channel", "verdict")),
    "evidence": ("What speaks for drift, in the unit of the detection rule.", ("channel",)),
    "evidence_threshold": ("Evidence from which on the verdict is drift.", ("channel",)),
    "promised_batches_per_alarm": ("Fewest batches per false alarm on average, under rule budget.", ("channel",)),
    "distance": ("Distance of the farthest column from the training reference, on the AUC scale.", ("channel",)),
    "beyond": ("1 while a column is surely farther from the training reference than max_distance.", ("channel",)),
    "incident": ("1 when a column was out of line on the last judged batch alone.", ("channel",)),
    "column_shift": ("Shift of the columns that moved in the last batch, on the AUC scale.", ("channel", "column")),
    "column_shift_low": ("Lower end of the interval of the shift.", ("channel", "column")),
    "column_shift_high": ("Upper end of the interval of the shift.", ("channel", "column")),
    "measure": ("Measures named in detect.export, of the last judged batch.", ("channel", "column", "measure")),
}
_PERFORMANCE: Described = {
    "performance": ("Realised performance of the newest window with enough labels.", ("metric",)),
    "performance_low": ("Lower end of the interval of the realised performance.", ("metric",)),
    "performance_high": ("Upper end of the interval of the realised performance.", ("metric",)),
    "performance_weighted": (
        "Realised performance weighted for the rows without a label, when they differ.",
        ("metric",),
    ),
    "performance_floor": ("Performance worse than this is drift, whatever the test says.", ("metric",)),
    "performance_held_out": ("What the champion reached on its held-out rows.", ("metric",)),
    "performance_estimated": ("Performance of the last judged batch, estimated before its labels.", ("metric",)),
    "performance_estimated_low": ("Lower end of the interval of that estimate.", ("metric",)),
    "performance_estimated_high": ("Upper end of the interval of that estimate.", ("metric",)),
    "performance_assumption": ("1 for what that estimate takes to have moved, else 0.", ("assumption",)),
    "performance_segment_estimated": (
        "The same of the largest segments of the batch.",
        ("metric", "segment", "level"),
    ),
    "performance_not_restored": (
        "1 while performance is lastingly worse than was once promised, though no alarm stands, else 0.",
        (),
    ),
    "performance_window_end_timestamp_seconds": ("End of the window that the realised performance is of.", ()),
    "labels_coverage_ratio": ("Share of the rows of that window that have a label.", ()),
    "labels_overdue_batches": ("Scored batches after that window whose labels should have come by now.", ()),
    "calibration_p_value": (
        "How well the calibration that estimates rest on fits the labels of that window; small: not at all.",
        (),
    ),
    "labels_selection_p_value": ("How alike the rows of that window with and without a label are; small: not.", ()),
    "labels_reachable_ratio": ("Share of a window's rows that have a label in the end, as learnt.", ()),
    "labels_settled_batches": ("Batches after which nearly all labels that come are there, as learnt.", ()),
    "labels_to_come_rows": ("Labels that are still to be expected.", ()),
    "labels_held_windows": ("Windows whose labels are held until somebody says whether they are right.", ()),
    "labels_held_rows": ("Labelled rows of these windows.", ()),
    "labels_unmatched_rows": ("Label rows whose id no batch has; they wait for one.", ()),
    "labels_unmatched_since_timestamp_seconds": ("When the first of them came; without any: no series.", ()),
    "label_share_ratio": ("Estimated share of each class in the last batch.", ("class",)),
    "label_share_low_ratio": ("Lower end of the interval of the share.", ("class",)),
    "label_share_high_ratio": ("Upper end of the interval of the share.", ("class",)),
    "label_shift_fit_p_value": ("How well the scores of the last batch fit these shares; small: not at all.", ()),
    "control_parted": ("1 when labels of control rows differ from those of served rows in that window, else 0.", ()),
    "control_performance": ("Realised performance on the control rows of that window.", ("metric",)),
    "shift_kind": ("1 for the type of shift while an alarm stands, else 0.", ("kind",)),
}
_OPERATION: Described = {
    "model_info": ("1 for the champion.", ("version", "origin", "candidate")),
    "candidate_waiting": ("1 while a version waits to be promoted, or is in shadow.", ()),
    "model_created_timestamp_seconds": ("When the champion was trained.", ()),
    "model_training_rows": ("Rows that the champion was fitted on.", ()),
    "last_batch_window_end_timestamp_seconds": ("End of the window of the last judged batch.", ()),
    "last_batch_rows": ("Rows of the last judged batch that were scored.", ()),
    "last_decision": ("1 for what was decided after the last batch, else 0.", ("decision",)),
    "last_attempt": ("1 for what came of the last attempt to retrain, else 0.", ("outcome",)),
    "waiting_deliveries": ("Files that are known and not yet worked off.", ("kind",)),
    "last_arrival_timestamp_seconds": ("When the newest file came, by its modification time.", ("kind",)),
    "last_bad_batch_timestamp_seconds": ("When a batch that could not be used was last judged.", ()),
    "last_refused_push_timestamp_seconds": (
        "When a push was last refused as a whole; the same again does not count.",
        (),
    ),
    "batch_interval_seconds": ("Longest usual time from one batch to the next, as configured or as learnt.", ()),
    "last_success_timestamp_seconds": ("When this process last worked through all that waited.", ()),
    "pass_started_timestamp_seconds": ("Since when this process is at work on the deployment; idle: no series.", ()),
    "pass_failed": ("1 when an error ended the last pass, else 0.", ()),
}
GAUGES: Described = {**_VERDICTS, **_PERFORMANCE, **_OPERATION}
COUNTERS: Described = {
    "batches": ("Judged batches, by the verdict when they came (performance is not known by then).", ("verdict",)),
    "alarms": ("Alarms raised since the deployment began.", ("channel",)),
    "judged_batches": ("Batches that could have raised one.", ("channel",)),
    "rows": ("Rows scored.", ()),
    "quarantined_rows": ("Rows put into quarantine, of batches or of labels.", ("kind", "reason")),
    "decisions": ("What was decided after each batch.", ("decision",)),
    "retrain_attempts": ("Attempts to retrain.", ("outcome",)),
    "trials": ("Ended trials beside the champion, by what they found.", ("finding",)),
    "champion_changes": ("Times that another version became the champion.", ("event",)),
}
HISTOGRAMS: Described = {"stage_seconds": ("Time that batches spent in each stage.", ("stage",))}


def metric_names() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Exported name → (type, help, labels) of everything that the collector may yield."""
    own: dict[str, tuple[str, str, tuple[str, ...]]] = {
        "monitor_up": ("gauge", UP, ()),
        "monitor_build_info": ("gauge", BUILD, ("version",)),
        **{name: ("gauge", text, ()) for name, text in CONFIGURATION.items()},
    }
    kinds = (("gauge", GAUGES, ""), ("counter", COUNTERS, "_total"), ("histogram", HISTOGRAMS, ""))
    return own | {
        f"monitor_{name}{suffix}": (kind, text, ("deployment", *labels))
        for kind, described, suffix in kinds
        for name, (text, labels) in described.items()
    }


class Scrape:
    """The families of one scrape, filled sample by sample; what is not known gets no sample."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        kinds = ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, COUNTERS), (HistogramMetricFamily, HISTOGRAMS))
        for kind, described in kinds:
            for name, (text, labels) in described.items():
                self._families[name] = kind(f"monitor_{name}", text, labels=("deployment", *labels))

    def add(self, name: str, value: float | None, *labels: str) -> None:
        if value is not None:
            self._families[name].add_metric(labels, value)  # type: ignore[attr-defined]  # gauges and counters have it

    def add_histogram(self, name: str, buckets: Iterable[tuple[str, int]], total: float, *labels: str) -> None:
        """`buckets` are (upper bound, count up to it), the last bound `+Inf`; `total` is the sum of what was seen."""
        self._families[name].add_metric(labels, list(buckets), total)  # type: ignore[attr-defined]  # histograms

    def one_of(self, name: str, members: Iterable[str], actual: str, *labels: str) -> None:
        """A sample for each member of a closed set: 1 for the actual one, 0 for the others."""
        for member in members:
            self.add(name, float(member == actual), *labels, member)

    def families(self) -> Iterable[Metric]:
        return (family for family in self._families.values() if family.samples)

"""How a deployment stands: what was seen last, how good the model is, and what happens next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from monitor.app.journal import ATTEMPT, ATTEMPT_BEGUN, Failing, failing
from monitor.app.label_memory import LabelMemory
from monitor.app.leases import duty_lease, pass_lease
from monitor.app.memory import RetrainMemory
from monitor.app.ports import Store
from monitor.app.standard_status import MissedStandard, missed_standard
from monitor.app.trial_status import BesideStatus, beside_status
from monitor.app.unmatched_labels import unmatched_labels
from monitor.app.versions import champion_manifest
from monitor.config.deployment import Deployment
from monitor.config.sources import ScheduleConfig
from monitor.domain.batch import DeliveryKind, aware
from monitor.domain.label_arrival import Unmatched
from monitor.domain.label_trust import Standing
from monitor.domain.verdict import Channel, Verdict
from monitor.domain.version import Manifest

RUNNING, LOST = "running", "lost"  # of an attempt that nothing has come of so far
LOOK_BACK = 200  # batches searched for the newest one whose labels have come


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """One channel of the last batch; for performance of the newest window that was judged, once there is one.

    `columns` are those that moved, `incidents` those out of line on this batch only, `beyond` those too far from the
    training reference, the largest shift first. `alarms` were raised in `judged` batches since the deployment began.
    """

    batch: str
    verdict: Verdict
    reason: str
    action: str  # what the configuration lets it cause: log, alert, retrain
    acknowledged: bool = False  # the alarm was closed since
    evidence: float | None = None
    threshold: float | None = None
    distance: float | None = None
    columns: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    alarms: int | None = None
    judged: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBatch:
    batch: str
    window_start: datetime
    window_end: datetime
    age: timedelta  # since the window's end
    rows: int
    quarantined: int
    model_version: int | None
    channels: Mapping[Channel, ChannelStatus]
    shift: Mapping[str, Any] | None  # `domain.shift.Shift` as the record has it, while an alarm stands


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceStatus:
    """The newest window with enough labels; `held_out` is what the champion reached on its held-out rows."""

    metric: str
    batch: str | None = None
    window_end: datetime | None = None
    realised: float | None = None
    low: float | None = None
    high: float | None = None
    labels_coverage: float | None = None
    calibration_p_value: float | None = None  # that the probabilities estimates rest on fit the labels of the window
    weighted: float | None = None  # for rows without a label, when those with one differ from them by `selected_by`
    selected_by: tuple[str, ...] = ()
    control: Mapping[str, Any] | None = None  # `domain.control.Control`, of windows with such rows
    estimated: float | None = None  # of the last batch, before its labels, with its interval and what it assumes
    estimated_low: float | None = None
    estimated_high: float | None = None
    assumption: str | None = None
    held_out: float | None = None
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsStatus:
    """How labels come in. `reachable`: share of a window's rows that have one in the end, nearly all of them when
    `settled_batches` have come after it; `to_come`: labels still to be expected, most of them by `by`. None: not known
    yet. `held_windows` and `held_rows` wait for somebody to say whether their labels are right. `unmatched_rows` wait
    for a batch that has their ids, the first of them since `unmatched_since`.
    """

    reachable: float | None = None
    settled_batches: int | None = None
    to_come: float | None = None
    by: datetime | None = None
    held_windows: int = 0
    held_rows: int = 0
    unmatched_rows: int = 0
    unmatched_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    version: int
    origin: str
    created: datetime
    age: timedelta
    rows: int
    candidate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStatus:
    """The last try to retrain; `at` in event time, which retraining goes by. Besides what an attempt ends with, its
    `outcome` is running, or lost when it was killed.
    """

    at: datetime
    outcome: str
    reason: str
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    """All of it as of one moment. `waiting` and `labels_waiting`: deliveries known and not yet done.

    `false_alarms` is the rate that is promised for each channel; None under a rule that promises none.

    `daemon` is the process that works on it, None when there is none; `failing` says why its passes come to nothing.

    `unlabelled_batches` are those of the last 200 without enough labels; `unlabelled_rows` their rows without one.
    """

    deployment: str
    as_of: datetime
    batches: int
    waiting: int
    labels_waiting: int
    unlabelled_batches: int
    unlabelled_rows: int
    labels: LabelsStatus
    last: LastBatch | None
    performance: PerformanceStatus
    missed_standard: MissedStandard | None
    model: ModelStatus | None
    false_alarms: str | None
    decision: str | None
    decision_reason: str
    last_attempt: AttemptStatus | None
    beside: BesideStatus
    daemon: str | None
    failing: Failing | None
    schedule: str
    retrain_mode: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: times in ISO 8601, each `age` as `age_seconds`."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def deployment_status(store: Store, deployment: Deployment, now: datetime) -> DeploymentStatus:
    """Read what the store says about a deployment, as of `now`; one that never ran has no last batch and no model."""
    name = deployment.name
    records = store.records(name, last=LOOK_BACK)
    newest = records[-1] if records else None
    manifest = champion_manifest(store, name)
    unlabelled = _unlabelled(records, deployment)
    return DeploymentStatus(
        deployment=name,
        as_of=aware(now),
        batches=store.count_records(name),
        waiting=store.count_waiting(name, DeliveryKind.BATCH),
        labels_waiting=store.count_waiting(name, DeliveryKind.LABELS),
        unlabelled_batches=len(unlabelled),
        unlabelled_rows=sum(round(r["rows"] * (1 - r["performance"]["labels_coverage"])) for r in unlabelled),
        labels=_labels(LabelMemory.load(store, name), unmatched_labels(store, name), records),
        last=_last(store, records, deployment, now) if records else None,
        performance=_performance(records, deployment, manifest),
        missed_standard=missed_standard(store, deployment),
        model=_model(manifest, now) if manifest else None,
        false_alarms=deployment.detect.false_alarms if deployment.detect.rule == "budget" else None,
        decision=newest["decision"] if newest else None,
        decision_reason=newest["decision_reason"] if newest else "",
        last_attempt=_attempt(store, name, now),
        beside=beside_status(store, name),
        daemon=store.lease_holder(duty_lease(name), now=now),
        failing=failing(store, name),
        schedule=_schedule(deployment.schedule),
        retrain_mode=deployment.retrain.mode,
    )


def _last(store: Store, records: Sequence[Mapping[str, Any]], deployment: Deployment, now: datetime) -> LastBatch:
    record = records[-1]
    start, end = datetime.fromisoformat(record["window_start"]), datetime.fromisoformat(record["window_end"])
    closed = {(event["channel"], event["batch"]) for event in store.events(deployment.name, event="acknowledged")}
    channels = {}
    for channel in Channel:
        shown = (newest_judged(records, channel) if channel is Channel.PERFORMANCE else None) or record
        if channel.value in shown["verdicts"]:
            seen = _channel(shown, channel, deployment.detect.channels.of(channel))
            drifting = seen.verdict is Verdict.DRIFT
            channels[channel] = replace(seen, acknowledged=drifting and (channel.value, seen.batch) in closed)
    return LastBatch(
        batch=record["batch"],
        window_start=start,
        window_end=end,
        age=now - end,
        rows=record["rows"],
        quarantined=record["quarantined"],
        model_version=record["model_version"],
        channels=channels,
        shift=record["shift"],
    )


def _channel(record: Mapping[str, Any], channel: Channel, action: str) -> ChannelStatus:
    verdict = record["verdicts"][channel.value]
    return ChannelStatus(
        batch=record["batch"],
        verdict=Verdict(verdict["verdict"]),
        reason=verdict["reason"],
        action=action,
        evidence=verdict["evidence"],
        threshold=verdict["threshold"],
        distance=verdict["distance"],
        columns=_names(verdict["columns"]),
        incidents=_names(verdict["incidents"]),
        beyond=_names(verdict["beyond"]),
        alarms=verdict["alarms"],
        judged=verdict["judged"],
    )


def _names(findings: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    largest_first = sorted(findings, key=lambda finding: -abs(finding["shift"]))
    return tuple(dict.fromkeys(finding["name"] for finding in largest_first))


def _performance(
    records: Sequence[Mapping[str, Any]], deployment: Deployment, manifest: Manifest | None
) -> PerformanceStatus:
    metric = deployment.performance.metric
    matured = newest_matured(records)
    known = {} if matured is None else matured["performance"]
    now = records[-1]["performance"] if records else {}
    return PerformanceStatus(
        metric=metric,
        batch=matured["batch"] if matured else None,
        window_end=datetime.fromisoformat(matured["window_end"]) if matured else None,
        realised=known.get("realised"),
        low=known.get("low"),
        high=known.get("high"),
        labels_coverage=known.get("labels_coverage"),
        calibration_p_value=known.get("calibration_p_value"),
        weighted=known.get("weighted"),
        selected_by=tuple(known.get("selected_by", ())),
        control=known.get("control"),
        estimated=now.get("estimated"),
        estimated_low=now.get("estimated_low"),
        estimated_high=now.get("estimated_high"),
        assumption=now.get("assumption"),
        held_out=manifest.metrics.get(metric) if manifest else None,
        floor=deployment.performance.floor,
    )


def _labels(memory: LabelMemory, unmatched: Unmatched, records: Sequence[Mapping[str, Any]]) -> LabelsStatus:
    curve, held = memory.arrivals.curve, memory.trust.of(Standing.HELD)
    settled = curve.settled
    by = None
    scored = [record for record in records if record["model_version"] is not None]  # the others have no window to go by
    if settled is not None and len(scored) > 1:
        ends = sorted(datetime.fromisoformat(record["window_end"]) for record in scored)
        by = ends[-1] + settled * (ends[-1] - ends[0]) / (len(ends) - 1)
    return LabelsStatus(
        reachable=None if settled is None else curve.reachable,
        settled_batches=settled,
        to_come=memory.arrivals.to_come,
        by=by,
        held_windows=len(held),
        held_rows=sum(doubt.rows for doubt in held),
        unmatched_rows=unmatched.rows,
        unmatched_since=unmatched.since,
    )


def newest_matured(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The last of `records` with enough labels, and such as nobody doubts."""
    return next((r for r in reversed(records) if _is_known(r["performance"])), None)


def _is_known(performance: Mapping[str, Any]) -> bool:
    """Whether this is what the model really reached."""
    return bool(performance["matured"]) and performance["labels"] in (None, Standing.RELEASED)


def newest_judged(records: Sequence[Mapping[str, Any]], channel: Channel) -> Mapping[str, Any] | None:
    """The last of `records` that the detector has seen on `channel`: labels come late, so often not the newest one."""
    return next((r for r in reversed(records) if was_judged(r, channel)), None)


def was_judged(record: Mapping[str, Any], channel: Channel) -> bool:
    verdict = record["verdicts"].get(channel.value)
    return verdict is not None and verdict["judged"] is not None


def _model(manifest: Manifest, now: datetime) -> ModelStatus:
    return ModelStatus(
        version=manifest.version,
        origin=manifest.origin,
        created=manifest.created,
        age=now - manifest.created,
        rows=manifest.lineage.rows,
        candidate=manifest.candidate,
    )


def _unlabelled(records: Sequence[Mapping[str, Any]], deployment: Deployment) -> list[Mapping[str, Any]]:
    """Scored batches whose labels may still come; without a source of labels none will."""
    if deployment.labels is None:
        return []
    return [r for r in records if r["model_version"] is not None and not r["performance"]["matured"]]


def _attempt(store: Store, name: str, now: datetime) -> AttemptStatus | None:
    last = [*store.events(name, event=ATTEMPT, last=1), *store.events(name, event=ATTEMPT_BEGUN, last=1)]
    if not last:
        return None
    event = max(last, key=lambda one: int(one["number"]))
    outcome, reason = event.get("outcome"), event.get("reason", "")
    if outcome is None and store.lease_holder(pass_lease(name), now=now) is not None:
        outcome = RUNNING
    elif outcome is None:
        pending = not event["dry_run"] and RetrainMemory.load(store, name).pending is not None
        outcome, then = LOST, "it is made anew at the next pass" if pending else "nothing of it counts"
        reason = f"it ended without a result; {then}"
    at = datetime.fromisoformat(event["at"])
    return AttemptStatus(at=at, outcome=outcome, reason=reason, dry_run=event["dry_run"])


def _schedule(schedule: ScheduleConfig) -> str:
    if schedule.cron is not None:
        return f"cron {schedule.cron} ({schedule.timezone})"
    seconds = schedule.every.total_seconds() if schedule.every else 0.0
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"every {seconds / size:g} {unit}"
    return f"every {seconds:g} s"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            f"{key}_seconds" if isinstance(inner, timedelta) else str(key): _plain(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value

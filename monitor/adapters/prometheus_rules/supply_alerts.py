"""What does not come, or is refused at the door, and labels that cannot be believed."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.adapters.prometheus_rules.alert import SHOWN, Alert, Series, Severity, seconds
from monitor.adapters.prometheus_rules.alert import promql_duration as duration
from monitor.config.deployment import Deployment
from monitor.config.settings import AlertsConfig
from monitor.config.sources import LabelsConfig

_OVERDUE_BATCHES = 3  # one may lag; three in a row do not come by themselves


def supply_alerts(deployment: Deployment, config: AlertsConfig) -> Iterator[Alert]:
    series = Series(config.job, deployment.name)
    age = series.age("last_arrival_timestamp_seconds", kind="batch")
    yield Alert(
        name="BatchMissing",
        expr=f"{age} > 2 * {series.highest('batch_interval_seconds')}",
        severity=Severity.WARNING,
        hold=config.hold,
        summary=f"{deployment.name}: no batch has come",
        description="The newest one came {{ $value | humanizeDuration }} ago, twice the usual time and more.",
    )
    yield _push_refused(deployment, series)
    if deployment.labels is None:
        return
    yield Alert(
        name="LabelsHeld",
        expr=f"{series.highest('labels_held_windows')} > 0",
        severity=Severity.WARNING,
        keep=config.keep,
        summary=f"{deployment.name}: are these labels right?",
        description=(
            "With the labels of {{ $value }} windows the model has lost its skill at a stroke, its inputs lying still. "
            "They are held, and nothing is learnt from them, until somebody says whether they are right."
        ),
    )
    yield Alert(
        name="LabelsLate",
        expr=f"{series.highest('labels_overdue_batches')} >= {_OVERDUE_BATCHES}",
        severity=Severity.WARNING,
        hold=config.hold,
        summary=f"{deployment.name}: labels have not come",
        description=(
            f"{{{{ $value }}}} scored batches are without enough labels, {_due(deployment.labels)}. "
            "Performance is not known, and nothing can be retrained on them."
        ),
    )


def _push_refused(deployment: Deployment, series: Series) -> Alert:
    """Every deployment takes pushes, whatever its source is; there is no series before one was refused."""
    return Alert(
        name="PushRefused",
        expr=f"{series.age('last_refused_push_timestamp_seconds')} < {seconds(SHOWN)}",
        severity=Severity.WARNING,
        summary=f"{deployment.name}: a push was refused",
        description=(
            "A batch or labels could not be used as a whole. The sender was told with 422, and nothing of it was kept. "
            f"`monitor journal {deployment.name} --event push_refused` says what and why."
        ),
    )


def _due(labels: LabelsConfig) -> str:
    if labels.available_at is not None:
        return "longer than labels usually take and more"
    if not labels.delay:
        return "which are due when a window ends"
    return f"{duration(labels.delay)} after their windows and more"

"""Is the monitor itself there, and does it get on?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from monitor.adapters.prometheus_rules.alert import Alert, Series, Severity, quoted, seconds
from monitor.adapters.prometheus_rules.alert import promql_duration as duration
from monitor.config.deployment import Deployment
from monitor.config.settings import AlertsConfig

_RESTARTS = 3
_RESTARTS_WITHIN = timedelta(minutes=15)


def process_alerts(config: AlertsConfig) -> Iterator[Alert]:
    yield Alert(
        name="MonitorDown",
        # No daemon of the job answers, or none of them reaches its store. Two daemons on one store: one is enough.
        expr=f"absent({Series(config.job).select('up')} == 1)",
        severity=Severity.CRITICAL,
        hold=config.hold,
        labels={"job": config.job},
        summary="No monitor answers",
        description=(
            f"For {duration(config.hold)} no daemon of job {config.job} was scraped, or its store did not answer. "
            "Nothing is scored and nobody would be told of drift."
        ),
    )
    restarts = f"changes(process_start_time_seconds{{job={quoted(config.job)}}}[{duration(_RESTARTS_WITHIN)}])"
    yield Alert(
        name="MonitorStalled",
        expr=f"max by (job) ({restarts}) > {_RESTARTS}",
        severity=Severity.CRITICAL,
        summary="The monitor restarts again and again",
        description=(
            f"{{{{ $value }}}} restarts within {duration(_RESTARTS_WITHIN)}: it ends before it gets anything done."
        ),
    )
    yield Alert(
        name="ConfigReloadFailed",
        expr=f"min by (job, instance) ({Series(config.job).select('config_last_reload_successful')}) == 0",
        severity=Severity.WARNING,
        hold=config.hold,
        summary="A changed configuration is not in use",
        description=(
            "The configuration of {{ $labels.instance }} was to be read again and could not: something in it is wrong, "
            "which the next start would fail on, or it changes what takes a restart. The log says which, under "
            "`config_reload_failed`. The daemon works with all of the old one."
        ),
    )


def stalled(deployment: Deployment, pause: timedelta, config: AlertsConfig) -> Alert:
    """Two periods without success; `pause` is the longest time that the schedule leaves between two passes.

    A long pass is no stall while it may still be training, or while batches come out of it. A process that has not
    succeeded yet is measured by when it started.
    """
    series = Series(config.job, deployment.name)
    patience = 2 * pause + config.hold
    longest = deployment.retrain.timeout + deployment.model.timeout
    started = f"0 * {series.select('rows_total')} + on (job, instance) group_left () process_start_time_seconds"
    success = f"max by ({series.by}) ({series.select('last_success_timestamp_seconds')} or {started})"
    at_work = series.highest("pass_started_timestamp_seconds")
    progress = f"max by ({series.by}) (increase({series.select('batches_total')}[{duration(patience)}])) > 0"
    return Alert(
        name="MonitorStalled",
        expr=(
            f"time() - {success} > {seconds(patience)}\n"
            f"unless on ({series.by}) (\n"
            f"  {at_work} > time() - {seconds(longest)}\n"
            f"  or {at_work} and on ({series.by}) {progress}\n"
            ")"
        ),
        severity=Severity.CRITICAL,
        summary=f"{deployment.name}: nothing gets done",
        description=(
            "No pass over what waits has succeeded for {{ $value | humanizeDuration }}; "
            f"one is due every {duration(pause)}."
        ),
    )

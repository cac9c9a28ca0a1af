"""The whole rule file: a group for the process, and one for each deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from monitor.adapters.prometheus_rules.alert import Alert, Series
from monitor.adapters.prometheus_rules.drift_alerts import DriftAlerts
from monitor.adapters.prometheus_rules.process_alerts import process_alerts, stalled
from monitor.adapters.prometheus_rules.retrain_alerts import retrain_alerts
from monitor.adapters.prometheus_rules.supply_alerts import supply_alerts
from monitor.adapters.scheduler import longest_pause
from monitor.config.deployment import Deployment
from monitor.config.settings import AlertsConfig

_HEAD = "# Written by `monitor rules`: change the deployment files and write it anew.\n"


def rules_document(config: AlertsConfig, deployments: Mapping[str, Deployment]) -> dict[str, Any]:
    """What Prometheus reads from a rule file. Raises ConfigError for a schedule that cannot be read."""
    alerts = [rule.to_rule(config.runbooks) for rule in process_alerts(config)]
    groups = [{"name": config.job, "rules": [*_recorded(config), *alerts]}]
    for name, deployment in deployments.items():
        rules = [rule.to_rule(config.runbooks) for rule in _alerts(deployment, config)]
        groups.append({"name": f"{config.job}: {name}", "rules": rules})
    return {"groups": groups}


def rules_text(document: Mapping[str, Any]) -> str:
    return _HEAD + yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


def _alerts(deployment: Deployment, config: AlertsConfig) -> Iterable[Alert]:
    own: tuple[Alert, ...] = (
        stalled(deployment, longest_pause(deployment.schedule), config),
        *supply_alerts(deployment, config),
        *DriftAlerts(deployment, config),
        *retrain_alerts(deployment, config),
    )
    known = {"job": config.job, "deployment": deployment.name}
    return [replace(alert, labels={**known, **alert.labels}) for alert in own]


def _recorded(config: AlertsConfig) -> list[dict[str, str]]:
    """What dashboards show and would have to compute from long ranges, over all daemons of the job."""
    series, by = Series(config.job), "job, deployment, channel"
    week = f"max by ({by}) (increase({series.select('alarms_total')}[7d]))"
    judged = f"max by ({by}) (increase({series.select('judged_batches_total')}[7d]))"
    promised = f"max by ({by}) ({series.select('promised_batches_per_alarm')})"
    drift = series.select("verdict", verdict="drift")
    expressions = {
        "job_deployment_channel:monitor_drift:max": f"max by ({by}) ({drift})",
        "job_deployment_channel:monitor_alarms:increase7d": week,
        "job_deployment_channel:monitor_promised_alarms:increase7d": f"{judged} / {promised}",
        "job_deployment:monitor_last_success_timestamp_seconds:max": (
            f"max by (job, deployment) ({series.select('last_success_timestamp_seconds')})"
        ),
    }
    return [{"record": name, "expr": expr} for name, expr in expressions.items()]


class _Dumper(yaml.SafeDumper):
    """Writes expressions of several lines as blocks, so that they can be read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

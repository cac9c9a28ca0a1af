"""One alerting rule, and the few forms of PromQL that the rules are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

NEVER = timedelta(0)
SHOWN = timedelta(hours=1)  # how long an event, which has no end, is an alert


class Severity(StrEnum):
    CRITICAL = "critical"  # somebody is woken up
    WARNING = "warning"  # somebody looks at it today
    INFO = "info"  # good to know


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`hold`: how long it must be so before it fires; `keep`: how long it fires on after it is no longer so."""

    name: str
    expr: str
    severity: Severity
    summary: str
    description: str
    hold: timedelta = NEVER
    keep: timedelta = NEVER
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_rule(self, runbooks: str) -> dict[str, Any]:
        """As Prometheus reads it; `runbooks` is where the runbooks are found."""
        rule: dict[str, Any] = {"alert": self.name, "expr": self.expr}
        if self.hold:
            rule["for"] = promql_duration(self.hold)
        if self.keep:
            rule["keep_firing_for"] = promql_duration(self.keep)
        rule["labels"] = {"severity": self.severity.value, **self.labels}
        rule["annotations"] = {
            "summary": self.summary,
            "description": self.description,
            **self.annotations,
            "runbook_url": f"{runbooks.rstrip('/')}/{self.name}.md",
        }
        return rule


@dataclass(frozen=True, slots=True)
class Series:
    """Metrics of one job and, where one is named, one deployment.

    Several daemons on one store show the same: every expression takes the highest of theirs, so that an alert is one
    alert and does not end with the daemon that happened to raise it.
    """

    job: str
    deployment: str | None = None

    def select(self, metric: str, /, **labels: str) -> str:
        """`monitor_METRIC{…}`, of this job and deployment."""
        own = {"job": self.job, **({"deployment": self.deployment} if self.deployment else {}), **labels}
        return f"monitor_{metric}{{{','.join(f'{name}={quoted(value)}' for name, value in own.items())}}}"

    def highest(self, metric: str, /, **labels: str) -> str:
        return f"max by ({self.by}) ({self.select(metric, **labels)})"

    def age(self, metric: str, /, **labels: str) -> str:
        """Seconds since the moment that a metric tells, the newest of all daemons'."""
        return f"time() - {self.highest(metric, **labels)}"

    def rise(self, metric: str, window: timedelta, /, **labels: str) -> str:
        """By how much a counter has grown within `window`."""
        return f"max by ({self.by}) (increase({self.select(metric, **labels)}[{promql_duration(window)}]))"

    @property
    def by(self) -> str:
        return "job, deployment" if self.deployment else "job"


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def promql_duration(span: timedelta) -> str:
    """`90s`, `2m`, `1h`; whole milliseconds below a second."""
    milliseconds = round(span.total_seconds() * 1000)
    units = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
    unit, size = next((unit, size) for unit, size in units if milliseconds % size == 0)
    return f"{milliseconds // size}{unit}"


def seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}"

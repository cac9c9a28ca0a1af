"""From a file that lands to somebody who is told: a real daemon, Prometheus, Alertmanager and webhook."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from monitor.bootstrap import open_application
from tests.support.project import Project
from tests.support.running import Running, until
from tests.support.servers import (
    Prometheus,
    Webhook,
    alertmanager_of,
    free_address,
    post_alerts,
    prometheus_of,
    webhook,
    write_rules,
)
from tests.system.test_daemon import recorded, store

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(500)]

RUNBOOKS = "https://runbooks.example/monitor"
SHIFT = 2.0
# Only the inputs may alert, and they bring a retraining forward; new labels alone never do.
WATCHED = {
    "detect": {
        "false_alarms": "1 per 100 batches",
        "channels": {"inputs": "retrain", "predictions": "log", "labels": "log", "performance": "log"},
    },
    "retrain": {"min_labels": 200, "max_per_week": 1000, "when": {"new_labels": 100.0, "distance": False}},
}


@dataclass(slots=True)
class Site:
    """A daemon on a fixed address, and everybody who watches it."""

    project: Project
    daemon: Running
    prometheus: Prometheus
    webhook: Webhook

    def told(self, name: str, status: str = "firing", *, after: int = 0) -> list[dict]:
        return self.webhook.alerts(name, status)[after:]

    def deliver(self, **how: float) -> None:
        """A batch and its labels, and wait until it is judged."""
        name = self.project.add_batch(**how)
        until(lambda: name in recorded(self.project))


@pytest.fixture
def site(tmp_path: Path, prometheus: Path, alertmanager: Path) -> Iterator[Site]:
    project = Project.create(tmp_path / "project", changes=WATCHED)
    address = free_address()
    settings = {
        "http": {"bind": address},
        "log": {"format": "json"},
        "alerts": {"runbooks": RUNBOOKS, "hold": "8s", "keep": "3s"},
    }
    (project.config / "monitor.yaml").write_text(yaml.safe_dump(settings))
    for _ in range(4):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
    rules = write_rules(project, tmp_path)
    daemon = Running(project)
    with ExitStack() as servers:
        servers.callback(lambda: (daemon.process.kill(), daemon.process.wait()))
        told = servers.enter_context(webhook())
        managed = servers.enter_context(alertmanager_of(alertmanager, tmp_path, told.url))
        daemon.wait_for("started")
        scraping = servers.enter_context(
            prometheus_of(prometheus, tmp_path, address, rules=rules, alertmanager=managed)
        )
        until(lambda: scraping.query("monitor_up == 1"))
        yield Site(project, daemon, scraping, told)


def test_who_is_told_of_drift_of_bad_data_and_of_a_dead_daemon(site):
    # drifted batches: an alert that names the column and where to read on
    while not site.told("DataDrift"):
        site.deliver(shift=SHIFT)
        assert len(recorded(site.project)) < 12
    (alert,) = site.told("DataDrift")[:1]
    assert alert["labels"]["deployment"] == "tiny"
    assert alert["labels"]["channel"] == "inputs"
    assert alert["receiver"] == "day"
    assert alert["annotations"]["summary"] == "tiny: the inputs have drifted"
    assert alert["annotations"]["columns"].startswith("a ")
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOKS}/DataDrift.md"
    (payload,) = [p for p in site.webhook.payloads if alert["fingerprint"] in {a["fingerprint"] for a in p["alerts"]}][
        :1
    ]
    assert payload["version"] == "4"
    assert payload["groupLabels"] == {"job": "monitor", "deployment": "tiny"}

    # the loop retrains on them and promotes: resolved
    while not store(site.project).events("tiny", event="attempt"):
        site.deliver(shift=SHIFT)
        assert len(recorded(site.project)) < 20
    assert store(site.project).events("tiny", event="attempt")[0]["outcome"] == "promote"
    site.deliver(shift=SHIFT)
    until(lambda: site.told("DataDrift", "resolved"))

    # a batch that is far off and cannot be used: bad data, and nobody is told of drift
    drifts = len(site.told("DataDrift"))
    rows = site.project.next_rows(shift=5 * SHIFT).drop_columns(["y"])
    unusable = rows.set_column(rows.schema.get_field_index("a"), "a", pa.array(["?"] * rows.num_rows))
    site.project.write(site.project.incoming / "unusable.parquet", unusable)
    until(lambda: site.told("BadData"))
    assert site.told("BadData")[0]["annotations"]["runbook_url"] == f"{RUNBOOKS}/BadData.md"
    site.deliver(shift=SHIFT)
    until(lambda: site.told("BadData", "resolved"))
    assert len(site.told("DataDrift")) == drifts

    # a daemon that is killed: somebody is woken up, until it is there again
    site.daemon.stop(signal.SIGKILL)
    until(lambda: site.told("MonitorDown"))
    assert site.told("MonitorDown")[0]["receiver"] == "night"
    site.daemon = Running(site.project)
    try:
        until(lambda: site.told("MonitorDown", "resolved"))
    finally:
        site.daemon.process.kill()
        site.daemon.process.wait()


def labels(name: str, deployment: str | None = "prices", severity: str = "warning") -> dict[str, str]:
    return {
        "alertname": name,
        "job": "monitor",
        "severity": severity,
        **({"deployment": deployment} if deployment else {}),
    }


def test_bad_data_holds_back_drift_and_a_dead_monitor_holds_back_everything(alertmanager, tmp_path):
    with webhook() as told, alertmanager_of(alertmanager, tmp_path, told.url) as address:
        post_alerts(
            address, labels("BadData"), labels("DataDrift"), labels("RetrainFailed"), labels("DataDrift", "shop")
        )
        until(lambda: told.alerts("BadData", "firing") and told.alerts("DataDrift", "firing"))
        assert {alert["labels"]["deployment"] for alert in told.alerts("DataDrift", "firing")} == {"shop"}
        assert told.alerts("RetrainFailed", "firing")
        down = labels("MonitorDown", deployment=None, severity="critical")
        post_alerts(address, down)
        until(lambda: told.alerts("MonitorDown", "firing"))
        post_alerts(address, down, labels("LabelShift", "later"), {**labels("LabelShift", "other"), "job": "another"})
        until(lambda: told.alerts("LabelShift", "firing"))
        assert {alert["labels"]["deployment"] for alert in told.alerts("LabelShift", "firing")} == {"other"}

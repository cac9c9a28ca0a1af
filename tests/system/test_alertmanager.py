"""The shipped configuration of Alertmanager, by a real amtool: who is told, and how it reads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.adapters.prometheus_rules.test_alerts import alerts, deployment

pytestmark = pytest.mark.system

FOLDER = Path(__file__).parents[2] / "config" / "alertmanager"
CONFIG = FOLDER / "alertmanager.yml"
RECEIVERS = {"critical": "night", "warning": "day", "info": "journal"}


def run(amtool: Path, *arguments: str) -> str:
    done = subprocess.run([str(amtool), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_and_its_templates_are_valid(amtool):
    said = run(amtool, "check-config", str(CONFIG))
    assert "1 templates" in said
    assert "4 inhibit rules" in said


def test_each_alert_goes_to_who_its_severity_says(amtool):
    told = {}
    for rule in alerts(deployment()):
        labels = [f"{name}={value}" for name, value in {"alertname": rule["alert"], **rule["labels"]}.items()]
        receiver = run(amtool, "config", "routes", "test", f"--config.file={CONFIG}", *labels).strip()
        assert receiver == RECEIVERS[rule["labels"]["severity"]], labels
        told[rule["alert"]] = receiver
    assert told["MonitorDown"] == told["PerformanceDegraded"] == "night"
    assert told["DataDrift"] == "day"
    assert told["LabelsHeld"] == "day"


def test_a_message_names_the_deployment_the_columns_and_the_runbook(amtool, tmp_path):
    alert = {
        "status": "firing",
        "labels": {"alertname": "DataDrift", "deployment": "prices", "severity": "warning"},
        "annotations": {
            "summary": "prices: the inputs have drifted",
            "description": "It stands until it is acknowledged.",
            "columns": "demand 0.40; ",
            "runbook_url": "https://runbooks.example/DataDrift.md",
        },
        "startsAt": "2026-03-02T01:02:03Z",
    }
    data = tmp_path / "data.json"
    data.write_text(
        json.dumps({"status": "firing", "alerts": [alert], "commonLabels": alert["labels"], "groupLabels": {}})
    )

    def rendered(name: str) -> str:
        return run(
            amtool,
            "template",
            "render",
            f"--template.glob={FOLDER}/templates/*.tmpl",
            f"--template.text={{{{ template {json.dumps(name)} . }}}}",
            f"--template.data={data}",
        )

    assert rendered("monitor.subject").strip() == "1 firing: prices: DataDrift"
    assert rendered("monitor.text").split("\n")[:5] == [
        "DataDrift (warning, firing) since 2026-03-02 01:02 UTC",
        "prices: the inputs have drifted",
        "It stands until it is acknowledged.",
        "Moved: demand 0.40; ",
        "Runbook: https://runbooks.example/DataDrift.md",
    ]

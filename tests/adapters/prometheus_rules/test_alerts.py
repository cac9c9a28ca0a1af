"""Every alert on time lines, by a real promtool: it fires when it must, is silent when it must, and ends."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.adapters.prometheus_rules.document import rules_document, rules_text
from monitor.config.deployment import Deployment
from monitor.config.settings import AlertsConfig
from tests.adapters.prometheus_rules.alert_timelines import LABELS, TIMELINES, verdict
from tests.adapters.prometheus_rules.timelines import metric
from tests.support import stored

PROJECT = Path(__file__).parents[3]


def deployment(**changes: Any) -> Deployment:
    channels = dict.fromkeys(("inputs", "predictions", "labels"), "alert")
    labels = {"path": "labels/*.parquet", "delay": "1d"}
    return stored.deployment(**{"detect": {"channels": channels}, "labels": labels, **changes})


def alerts(*deployments: Deployment) -> list[dict[str, Any]]:
    document = rules_document(AlertsConfig(), {each.name: each for each in deployments})
    return [rule for group in document["groups"] for rule in group["rules"] if "alert" in rule]


def names(**changes: Any) -> set[str]:
    return {rule["alert"] for rule in alerts(deployment(**changes))}


def promtool_test(promtool: Path, folder: Path, evaluated: str, tests: list[dict[str, Any]]) -> None:
    (folder / "rules.yaml").write_text(rules_text(rules_document(AlertsConfig(), {"prices": deployment()})))
    plan = {"rule_files": ["rules.yaml"], "evaluation_interval": evaluated, "tests": tests}
    (folder / "test.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    done = subprocess.run(
        [str(promtool), "test", "rules", str(folder / "test.yaml")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stdout + done.stderr


def test_every_alert_has_time_lines_on_which_it_fires_and_is_silent_again():
    assert set(TIMELINES) == names() == set(LABELS)
    for timelines in TIMELINES.values():
        assert any(one.fires and one.silent for one in timelines)


@pytest.mark.parametrize("alert", TIMELINES)
def test_it_fires_when_it_must_and_ends(alert, promtool, tmp_path):
    (evaluated,) = {timeline.evaluated for timeline in TIMELINES[alert]}
    tests = [timeline.to_test(alert, LABELS[alert]) for timeline in TIMELINES[alert]]
    promtool_test(promtool, tmp_path, evaluated, tests)


def test_an_alert_says_which_columns_moved_and_where_to_read_on(promtool, tmp_path):
    moved = {"price": "0.31x9", "demand": "0.4x9"}
    shifts = {metric("column_shift", channel="inputs", column=column): v for column, v in moved.items()}
    series = {verdict("inputs"): "1x9", **shifts}
    expected = {
        "exp_labels": {"severity": "warning", "job": "monitor", "deployment": "prices", "channel": "inputs"},
        "exp_annotations": {
            "summary": "prices: the inputs have drifted",
            "description": "It stands until it is acknowledged or another version is the champion.",
            "columns": "demand 0.40; price 0.31; ",
            "runbook_url": "docs/runbooks/DataDrift.md",
        },
    }
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "1m", "alertname": "DataDrift", "exp_alerts": [expected]}],
    }
    promtool_test(promtool, tmp_path, "15s", [test])


def description(alert: str, **changes: Any) -> str:
    rules = alerts(deployment(**changes))
    (found,) = {rule["annotations"]["description"] for rule in rules if rule["alert"] == alert}
    return found


def test_a_batch_that_cannot_be_used_says_where_its_reasons_are():
    said = description("BadData")
    assert "`monitor journal prices --event bad_data`" in said
    assert "`collected/prices/quarantine`" in said


@pytest.mark.parametrize(
    ("labels", "due"),
    [
        ({"path": "in/*", "delay": "1d"}, "without enough labels, 1d after their windows and more."),
        ({"path": "in/*", "delay": "0s"}, "without enough labels, which are due when a window ends."),
        ({"path": "in/*", "available_at": "known"}, "without enough labels, longer than labels usually take and more."),
    ],
)
def test_late_labels_are_said_to_be_late_by_what_they_are_due_by(labels, due):
    assert due in description("LabelsLate", labels=labels)


def test_a_refused_push_says_where_its_reason_is():
    assert "`monitor journal prices --event push_refused`" in description("PushRefused")


def test_a_refused_configuration_may_be_right_and_take_a_restart():
    assert "or it changes what takes a restart" in description("ConfigReloadFailed")


def test_what_a_channel_may_cause_decides_who_is_told():
    channels = dict.fromkeys(("inputs", "predictions", "labels", "performance"), "log")
    of_performance = {"PerformanceDegraded", "PerformanceNotRestored", "EstimatedPerformanceDegraded"}
    of_channels = {"DataDrift", "PredictionDrift", "LabelShift"} | of_performance
    assert names() - names(detect={"channels": channels}) == of_channels
    for channel, expected in {"inputs": {"DataDrift"}, "performance": of_performance}.items():
        for action in ("alert", "retrain"):
            assert of_channels & names(detect={"channels": {**channels, channel: action}}) == expected


def test_what_cannot_happen_has_no_alert():
    assert names() - names(retrain={"mode": "off"}) == {"RetrainFailed", "CandidateRejected", "RetrainEscalated"}
    assert names() == names(labels={"path": "in/*", "available_at": "known"})
    assert names() == names(batches={"source": "push"}), "pushes are taken beside every source"
    of_labels = {"LabelsLate", "LabelsHeld"}
    assert of_labels <= names() - names(labels=None, retrain={"mode": "off"})
    assert names() - names(detect={"rule": "per_batch", "channels": {"inputs": "alert"}}) == {"AlarmBudgetExceeded"}


@pytest.mark.parametrize(
    ("label", "performance", "ending"),
    [
        ("binary", {"metric": "accuracy", "floor": 0.7}, "< 0.7"),
        ("binary", {"metric": "accuracy"}, "< max by (job, deployment) (monitor_performance_held_out{X}) * 0.9"),
        ("regression", {"metric": "mae", "floor": 12}, "> 12"),
        ("regression", {"metric": "mae"}, "> max by (job, deployment) (monitor_performance_held_out{X}) * 1.1"),
    ],
)
def test_an_estimate_is_held_to_the_floor_or_to_what_was_held_out(label, performance, ending):
    known = {"id": "row_id", "features": {"price": "numeric"}, "label": {"name": "y", "kind": label}}
    (expr,) = [
        rule["expr"]
        for rule in alerts(deployment(schema=known, performance=performance))
        if rule["alert"] == "EstimatedPerformanceDegraded"
    ]
    assert re.sub(r"\{.*?\}", "{X}", expr).endswith(ending)
    assert ("estimated_high" in expr) == (label == "binary")


@pytest.mark.parametrize(
    ("schedule", "patience"),
    [
        ({"every": "5m"}, 2 * 300 + 120),
        ({"every": "500ms"}, 2 * 0.5 + 120),
        ({"cron": "*/5 * * * *"}, 2 * 300 + 120),
        ({"cron": "0 8 * * mon-fri", "timezone": "Europe/Berlin"}, 2 * 3 * 86400 + 120),
        ({"cron": "0 0 1 * *"}, 2 * 31 * 86400 + 120),
    ],
)
def test_a_stall_is_two_of_the_longest_pauses_of_the_schedule(schedule, patience):
    (expr,) = [
        rule["expr"]
        for rule in alerts(deployment(schedule=schedule))
        if rule["alert"] == "MonitorStalled" and "deployment" in rule["labels"]
    ]
    assert f"> {patience:g}\n" in expr


def test_the_shipped_rules_are_those_of_the_shipped_deployments(promtool):
    from monitor.config.reading import load_deployments, load_settings

    config = PROJECT / "config"
    text = rules_text(rules_document(load_settings(config).alerts, load_deployments(config)))
    shipped = config / "prometheus" / "rules.yaml"
    assert shipped.read_text() == text, "write them anew: monitor rules --out config/prometheus/rules.yaml"
    for command in (["check", "rules", str(shipped)], ["check", "config", str(shipped.with_name("prometheus.yml"))]):
        done = subprocess.run([str(promtool), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_runbook_that_says_what_it_means_and_what_to_do():
    folder = PROJECT / "docs" / "runbooks"
    pages = {page.stem: page.read_text() for page in folder.glob("*.md") if page.stem != "README"}
    assert set(pages) == names()
    listed = (folder / "README.md").read_text()
    for name, text in pages.items():
        headings = [line for line in text.splitlines() if line.startswith("#")]
        assert headings == [f"# {name}", "## What it means", "## Look here", "## Do this"], name
        (severity,) = {rule["labels"]["severity"] for rule in alerts(deployment()) if rule["alert"] == name}
        assert f"| [{name}]({name}.md) | {severity} |" in listed

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
from tests.adapters.prometheus_rules.timelines import Timeline, metric, process
from tests.support import stored

PROJECT = Path(__file__).parents[3]

# The schedule is every 5 minutes, `hold` 2 minutes, `keep` 10, labels are due after a day. One value per 15 seconds;
# the rules are evaluated once a minute.
LATE = "0x8 1x8 0x80"  # not so for two minutes, then so for two minutes, then over


def verdict(channel: str, word: str = "drift", **labels: str) -> str:
    return metric("verdict", channel=channel, verdict=word, **labels)


def seen(series: str, title: str = "it fires at once, and on for as long as it is kept") -> Timeline:
    return Timeline(title=title, series={series: LATE}, silent=("2m", "16m"), fires=("3m", "10m"))


LABELS = {
    "MonitorDown": {"severity": "critical", "job": "monitor"},
    "MonitorStalled": {"severity": "critical"},
    "ConfigReloadFailed": {"severity": "warning", "job": "monitor"},
    "BatchMissing": {"severity": "warning", "deployment": "prices"},
    "BadData": {"severity": "warning", "deployment": "prices"},
    "PushRefused": {"severity": "warning", "deployment": "prices"},
    "DataDrift": {"severity": "warning", "deployment": "prices", "channel": "inputs"},
    "PredictionDrift": {"severity": "warning", "deployment": "prices"},
    "LabelShift": {"severity": "warning", "deployment": "prices", "channel": "labels"},
    "PerformanceDegraded": {"severity": "critical", "deployment": "prices", "channel": "performance"},
    "PerformanceNotRestored": {"severity": "warning", "deployment": "prices", "channel": "performance"},
    "EstimatedPerformanceDegraded": {"severity": "warning", "deployment": "prices"},
    "LabelsLate": {"severity": "warning", "deployment": "prices"},
    "LabelsHeld": {"severity": "warning", "deployment": "prices"},
    "RetrainFailed": {"severity": "warning", "deployment": "prices"},
    "CandidateRejected": {"severity": "info", "deployment": "prices"},
    "RetrainEscalated": {"severity": "critical", "deployment": "prices"},
    "ModelRolledBack": {"severity": "warning", "deployment": "prices"},
    "AlarmBudgetExceeded": {"severity": "info", "deployment": "prices", "channel": "inputs"},
}
BAD_BATCH, REFUSED_PUSH = (metric(f"last_{what}_timestamp_seconds") for what in ("bad_batch", "refused_push"))
FIT = metric("label_shift_fit_p_value")
ESTIMATED_LOW, ESTIMATED_HIGH = (metric(f"performance_estimated_{end}", metric="accuracy") for end in ("low", "high"))
TIMELINES: dict[str, tuple[Timeline, ...]] = {
    "MonitorDown": (
        Timeline(
            title="no daemon answers any more, then one does",
            series={process("monitor_up"): "1x8 stale _x40 1x40"},
            silent=("2m", "3m", "14m"),
            fires=("5m", "12m"),
        ),
        Timeline(
            title="the store does not answer",
            series={process("monitor_up"): "1x8 0x40 1x40"},
            silent=("3m", "14m"),
            fires=("5m",),
        ),
        Timeline(
            title="of two daemons on one store one is enough",
            series={process("monitor_up"): "1x8 0x80", process("monitor_up", instance="b"): "1x88"},
            silent=("5m", "20m"),
        ),
        Timeline(
            title="a restart of a minute is no alert",
            series={process("monitor_up"): "1x8 stale _x3 1x80"},
            silent=("3m", "4m", "5m", "10m"),
        ),
    ),
    "MonitorStalled": (
        Timeline(
            title="no success for two periods and some slack",
            series={metric("last_success_timestamp_seconds"): "0+15x8 120x71 1200+15x80"},
            silent=("10m", "13m", "22m"),
            fires=("16m",),
        ),
        Timeline(
            title="never a success since the process started",
            series={
                metric("rows_total"): "0x200",
                process("process_start_time_seconds"): "0x200",
                metric("last_success_timestamp_seconds"): "_x60 900+15x100",
            },
            silent=("11m", "16m"),
            fires=("14m",),
        ),
        Timeline(
            title="the other daemon gets it done",
            series={
                metric("last_success_timestamp_seconds"): "0x200",
                metric("last_success_timestamp_seconds", instance="b"): "0+15x200",
            },
            silent=("16m", "40m"),
        ),
        Timeline(
            title="a pass may train for as long as `retrain.timeout` says, and no longer",
            series={
                metric("last_success_timestamp_seconds"): "120x400",
                metric("pass_started_timestamp_seconds"): "120x400",
            },
            silent=("16m", "60m"),
            fires=("65m",),
        ),
        Timeline(
            title="a backlog is worked off",
            series={
                metric("last_success_timestamp_seconds"): "120x400",
                metric("pass_started_timestamp_seconds"): "120x400",
                metric("batches_total", verdict="ok"): "0+1x400",
            },
            silent=("16m", "65m", "90m"),
        ),
        Timeline(
            title="batches are judged, but every pass ends in an error",
            series={
                metric("last_success_timestamp_seconds"): "120x400",
                metric("batches_total", verdict="ok"): "0+1x400",
            },
            fires=("16m", "65m"),
        ),
        Timeline(
            title="it restarts every two minutes, then no more",
            series={process("process_start_time_seconds"): "0x7 120x7 240x7 360x7 480x7 600x100"},
            silent=("5m", "30m"),
            fires=("9m", "11m"),
        ),
    ),
    "ConfigReloadFailed": (
        Timeline(
            title="a configuration that is broken, then mended",
            series={process("monitor_config_last_reload_successful"): "1x8 0x40 1x40"},
            silent=("2m", "4m", "14m"),
            fires=("5m", "12m"),
        ),
        Timeline(
            title="one of two daemons reads it, the other cannot",
            series={
                process("monitor_config_last_reload_successful"): "1x80",
                process("monitor_config_last_reload_successful", instance="b"): "1x8 0x80",
            },
            silent=("2m",),
            fires=("5m", "12m"),
        ),
        Timeline(
            title="mended within a minute",
            series={process("monitor_config_last_reload_successful"): "1x8 0x4 1x40"},
            silent=("3m", "4m", "5m"),
        ),
    ),
    "BatchMissing": (
        Timeline(
            title="twice the usual time",
            series={
                metric("last_arrival_timestamp_seconds", kind="batch"): "0x59 900x40",
                metric("batch_interval_seconds"): "300x100",
            },
            silent=("9m", "11m", "16m"),
            fires=("13m",),
        ),
        Timeline(
            title="nobody knows how often they come",
            series={metric("last_arrival_timestamp_seconds", kind="batch"): "0x400"},
            silent=("13m", "90m"),
        ),
        Timeline(
            title="labels are no batches",
            series={
                metric("last_arrival_timestamp_seconds", kind="labels"): "0x400",
                metric("batch_interval_seconds"): "300x400",
            },
            silent=("13m", "90m"),
        ),
    ),
    "BadData": (
        seen(verdict("inputs", "bad_data")),
        Timeline(title="drift is no bad data", series={verdict("inputs"): "1x100"}, silent=("5m", "20m")),
        Timeline(
            title="a good batch came after it within the same scrape",
            series={verdict("inputs", "bad_data"): "0x100", BAD_BATCH: "_x9 130x100"},
            silent=("2m", "15m"),
            fires=("3m", "4m", "13m"),
        ),
        Timeline(
            title="it was judged before the first scrape of a process, and so was a good one",
            series={
                verdict("inputs", "bad_data"): "0x8 stale _x80 0x100",
                metric("batches_total", verdict="bad_data"): "7x8 stale _x80 8x100",
                BAD_BATCH: "-90000x8 stale _x80 1320x100",
            },
            silent=("2m", "20m", "36m"),
            fires=("23m",),
        ),
        Timeline(
            title="one after the other, each of them for itself",
            series={verdict("inputs", "bad_data"): "0x200", BAD_BATCH: "_x9 130x115 1865x80"},
            silent=("20m", "30m", "46m"),
            fires=("3m", "32m"),
        ),
        Timeline(
            title="those of yesterday, seen by a Prometheus that is new",
            series={metric("batches_total", verdict="bad_data"): "7x100", BAD_BATCH: "-86400x100"},
            silent=("1m", "5m"),
        ),
    ),
    "PushRefused": (
        Timeline(
            title="for an hour, and another hour after the next one",
            series={REFUSED_PUSH: "_x9 130x400 6130x400"},
            silent=("2m", "64m", "101m", "165m"),
            fires=("3m", "61m", "103m", "161m"),
        ),
        Timeline(
            title="told once by two daemons",
            series={REFUSED_PUSH: "130x100", metric("last_refused_push_timestamp_seconds", instance="b"): "130x100"},
            fires=("3m",),
        ),
        Timeline(title="one of yesterday", series={REFUSED_PUSH: "-86400x100"}, silent=("1m", "20m")),
        Timeline(title="a batch that cannot be used is no push", series={BAD_BATCH: "130x100"}, silent=("3m", "20m")),
    ),
    "DataDrift": (
        seen(verdict("inputs")),
        Timeline(
            title="a batch that cannot be judged is no drift",
            series={verdict("inputs", "insufficient_data"): "1x100", verdict("inputs", "bad_data"): "1x100"},
            silent=("5m", "20m"),
        ),
        Timeline(
            title="two daemons on one store are one alert",
            series={verdict("inputs"): "1x8", verdict("inputs", instance="b"): "1x8"},
            fires=("1m",),
        ),
        Timeline(title="other channels", series={verdict("predictions"): "1x100"}, silent=("5m", "20m")),
    ),
    "PredictionDrift": (
        seen(verdict("predictions")),
        Timeline(
            title="class shares that do not fit the scores",
            series={verdict("labels"): "1x100", FIT: "0.4x8 0.0001x8 0.4x80"},
            silent=("2m", "16m"),
            fires=("3m", "10m"),
        ),
        Timeline(
            title="it is told once",
            series={verdict("labels"): "1x100", FIT: "0.0001x100", verdict("predictions"): "1x100"},
            fires=("3m",),
        ),
        Timeline(title="label shift alone", series={verdict("labels"): "1x100", FIT: "0.4x100"}, silent=("3m", "20m")),
    ),
    "LabelShift": (
        Timeline(
            title="the scores fit the shares",
            series={verdict("labels"): LATE, FIT: "0.4x100"},
            silent=("2m", "16m"),
            fires=("3m", "10m"),
        ),
        seen(verdict("labels"), "nobody knows whether the scores fit"),
        Timeline(
            title="the scores do not fit: the shares mean little",
            series={verdict("labels"): "1x100", FIT: "0.0001x100"},
            silent=("3m", "20m"),
        ),
    ),
    "PerformanceDegraded": (
        seen(verdict("performance")),
        Timeline(title="no labels yet", series={verdict("performance", "insufficient_data"): "1x99"}, silent=("5m",)),
    ),
    "PerformanceNotRestored": (
        Timeline(
            title="later versions do as badly, then well again",
            series={metric("performance_not_restored"): "0x8 1x40 0x40"},
            silent=("2m", "4m", "23m"),
            fires=("5m", "12m", "20m"),
        ),
        Timeline(
            title="it is told once",
            series={metric("performance_not_restored"): "1x100", verdict("performance"): "1x100"},
            silent=("5m", "20m"),
        ),
    ),
    "EstimatedPerformanceDegraded": (
        Timeline(
            title="the whole interval is below the floor of 0.6",
            series={ESTIMATED_HIGH: "0.8x8 0.59x8 0.8x80", ESTIMATED_LOW: "0.5x100"},
            silent=("2m", "16m"),
            fires=("3m", "10m"),
        ),
        Timeline(
            title="an interval that holds the floor says nothing",
            series={ESTIMATED_HIGH: "0.61x100", ESTIMATED_LOW: "0.4x100"},
            silent=("3m", "20m"),
        ),
    ),
    "LabelsHeld": (seen(metric("labels_held_windows")),),
    "LabelsLate": (
        Timeline(
            title="three batches lack labels, then two",
            series={metric("labels_overdue_batches"): "0x8 3x40 2x40"},
            silent=("2m", "3m", "14m"),
            fires=("5m", "12m"),
        ),
    ),
    "RetrainFailed": (
        Timeline(
            title="until an attempt does not fail",
            series={metric("last_attempt", outcome="failed"): "0x8 1x40 0x40"},
            silent=("2m", "14m"),
            fires=("3m", "12m"),
        ),
        Timeline(
            title="a candidate that is rejected is no failure",
            series={metric("last_attempt", outcome="reject"): "1x100"},
            silent=("3m", "20m"),
        ),
    ),
    "CandidateRejected": (
        Timeline(
            title="for an hour",
            series={metric("retrain_attempts_total", outcome="reject"): "0x8 1x400"},
            silent=("2m", "64m"),
            fires=("3m", "60m"),
        ),
        Timeline(
            title="other outcomes, and earlier ones",
            series={
                metric("retrain_attempts_total", outcome="promote"): "0+1x100",
                metric("retrain_attempts_total", outcome="reject"): "7x100",
            },
            silent=("3m", "20m"),
        ),
    ),
    "RetrainEscalated": (
        seen(metric("last_decision", decision="escalate")),
        Timeline(
            title="waiting is no escalation",
            series={metric("last_decision", decision="wait_backoff"): "1x100"},
            silent=("3m", "20m"),
        ),
    ),
    "ModelRolledBack": (
        Timeline(
            title="for an hour",
            series={metric("champion_changes_total", event="rolled_back"): "0x8 1x400"},
            silent=("2m", "64m"),
            fires=("3m", "60m"),
        ),
        Timeline(
            title="a promotion is none",
            series={metric("champion_changes_total", event="promoted"): "0+1x100"},
            silent=("3m", "20m"),
        ),
    ),
    "AlarmBudgetExceeded": (
        Timeline(
            title="five alarms in a week of batches, for a week",
            series={
                metric("alarms_total", channel="inputs"): "0+1x5 5x300",
                metric("judged_batches_total", channel="inputs"): "0+1x300",
                metric("promised_batches_per_alarm", channel="inputs"): "365x300",
            },
            silent=("1h", "200h"),
            fires=("8h", "100h"),
            step="1h",
            evaluated="1h",
        ),
        Timeline(
            title="five alarms in a week of so many batches that as many were promised",
            series={
                metric("alarms_total", channel="inputs"): "0+1x5 5x300",
                metric("judged_batches_total", channel="inputs"): "0+500x300",
                metric("promised_batches_per_alarm", channel="inputs"): "365x300",
            },
            silent=("8h", "100h"),
            step="1h",
            evaluated="1h",
        ),
    ),
}


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
    assert done.returncode == 0, done.stdout + done.stderr


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

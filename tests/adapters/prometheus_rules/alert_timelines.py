"""What each alert is shown, and when it must fire and be silent: labels and time lines by its name."""

from __future__ import annotations

from tests.adapters.prometheus_rules.timelines import Timeline, metric, process

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

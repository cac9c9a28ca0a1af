"""One deployment: inputs, predictions, labels and performance, with every change of the champion as a line."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Panel, Query, choice, event, graph, name, number, page, row, states

_OF = 'deployment="$deployment"'


def deployment() -> Dashboard:
    board = page("Driftloop: deployment", "driftloop-deployment")
    board = board.with_variable(choice("deployment", "Deployment", "label_values(monitor_rows_total, deployment)"))
    for kind, colour in {"promoted": "green", "rolled_back": "orange"}.items():
        counted = f'max by (deployment, event) (increase(monitor_champion_changes_total{{{_OF},event="{kind}"}}[2m]))'
        board = board.annotation(event(kind.replace("_", " "), f"{counted} > 0", colour))
    for title, panels in _ROWS.items():
        board = board.with_row(row(title)) if title else board
        for panel in panels:
            board = board.with_panel(panel)
    return board


def highest(metric: str, by: str = "", **labels: str) -> str:
    """Several daemons on one store show the same: the highest of theirs."""
    chosen = "".join(f',{name}="{value}"' for name, value in labels.items())
    return f"max by ({by}) (monitor_{metric}{{{_OF}{chosen}}})"


def refused(kind: str) -> Query:
    rows = f'monitor_quarantined_rows_total{{{_OF},kind="{kind}"}}'
    return Query(f"max by (reason) (increase({rows}[$__rate_interval]))", "{{reason}}")


def _channel(name: str) -> tuple[Panel, ...]:
    """Evidence as a share of what makes it drift, and the columns that moved."""
    evidence = highest("evidence", channel=name)
    return (
        graph(
            "Evidence of a change",
            Query(f"{evidence} / {highest('evidence_threshold', channel=name)}", "evidence / threshold"),
            about="1 and more is drift. It stands until it is acknowledged or another version is the champion.",
        ),
        graph("Columns that moved", Query(highest("column_shift", "column", channel=name), "{{column}}")),
    )


_ROWS: dict[str, tuple[Panel, ...]] = {
    "": (
        name("Champion", Query(highest("model_info", "version, candidate"), "version {{version}} ({{candidate}})")),
        number("Trained", f"time() - {highest('model_created_timestamp_seconds')}", unit="s"),
        number("Rows it was trained on", highest("model_training_rows")),
        number("Last batch came", f"time() - {highest('last_arrival_timestamp_seconds', kind='batch')}", unit="s"),
        number("Its rows", highest("last_batch_rows")),
        number("Files that wait", f"sum({highest('waiting_deliveries', 'kind')})"),
        states("Drift", Query(highest("verdict", "channel", verdict="drift"), "{{channel}}")),
    ),
    "Inputs": (
        *_channel("inputs"),
        graph(
            "Distance from the training data",
            Query(highest("distance", "channel"), "{{channel}}"),
            about="A state, no event: how far the farthest column lies from what the champion was trained on.",
        ),
        graph("Rows refused, by reason", refused("batch")),
    ),
    "Predictions": _channel("predictions"),
    "Labels": (
        graph(
            "Estimated class shares",
            Query(highest("label_share_ratio", "class"), "{{class}}"),
            Query(highest("label_share_low_ratio", "class"), "{{class}} low"),
            Query(highest("label_share_high_ratio", "class"), "{{class}} high"),
            unit="percentunit",
        ),
        graph(
            "Do the scores fit these shares?",
            Query(highest("label_shift_fit_p_value"), "p-value"),
            about="Below 0.001 it is not label shift alone, and the shares mean little.",
        ),
        graph("Rows with a label", Query(highest("labels_coverage_ratio"), "newest window"), unit="percentunit"),
        graph("Label rows refused, by reason", refused("labels")),
        graph("Batches whose labels are overdue", Query(highest("labels_overdue_batches"), "batches")),
    ),
    "Performance": (
        graph(
            "Performance",
            Query(highest("performance", "metric"), "{{metric}}"),
            Query(highest("performance_low", "metric"), "low"),
            Query(highest("performance_high", "metric"), "high"),
            Query(highest("performance_estimated", "metric"), "estimated, last batch"),
            Query(highest("performance_estimated_low", "metric"), "estimated low"),
            Query(highest("performance_estimated_high", "metric"), "estimated high"),
            Query(highest("performance_held_out", "metric"), "on held-out rows"),
            Query(highest("performance_floor", "metric"), "floor"),
            about="Of the newest window with enough labels; the estimate is of the last batch, before its labels.",
        ),
        *_channel("performance")[:1],
        states(
            "What was decided",
            Query(highest("last_decision", "decision"), "{{decision}}"),
            colours=("transparent", "blue"),
            span=12,
        ),
        graph(
            "Attempts to retrain, since the beginning",
            Query(f"max by (outcome) (monitor_retrain_attempts_total{{{_OF}}})", "{{outcome}}"),
        ),
    ),
}

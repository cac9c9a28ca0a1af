"""The monitor itself: does it get on, how fast, and does it keep its promise of few false alarms?"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Query, graph, number, page, row

_BY_STAGE = "sum by (le, stage) (rate(monitor_stage_seconds_bucket[$__rate_interval]))"


def own(metric: str) -> str:
    """A metric of the process, of daemons only."""
    return f"process_{metric} and on (job, instance) monitor_up"


def operations() -> Dashboard:
    board = page("Driftloop: operations", "driftloop-operations", since="now-1d")
    for add in (_at_a_glance, _work, _promise, _process):
        board = add(board)
    return board


def _at_a_glance(board: Dashboard) -> Dashboard:
    return (
        board.with_panel(number("Daemons", "count(monitor_up == 1) or vector(0)"))
        .with_panel(number("Stores that do not answer", "count(monitor_up == 0) or vector(0)", bad_from=1))
        .with_panel(
            number("Passes that failed", "sum(max by (deployment) (monitor_pass_failed)) or vector(0)", bad_from=1)
        )
        .with_panel(
            number(
                "Longest without success",
                "max(time() - job_deployment:monitor_last_success_timestamp_seconds:max)",
                unit="s",
            )
        )
        .with_panel(number("Files that wait", "sum(max by (deployment, kind) (monitor_waiting_deliveries))"))
        .with_panel(number("Running since", f"time() - min({own('start_time_seconds')})", unit="s"))
    )


def _work(board: Dashboard) -> Dashboard:
    return (
        board.with_row(row("Work"))
        .with_panel(
            graph(
                "Seconds per batch and stage, 95%",
                Query(f"histogram_quantile(0.95, {_BY_STAGE})", "{{stage}}"),
                unit="s",
            )
        )
        .with_panel(
            graph(
                "Rows scored",
                Query("max by (deployment) (rate(monitor_rows_total[$__rate_interval]))", "{{deployment}}"),
                unit="rowsps",
            )
        )
        .with_panel(
            graph(
                "Files that wait",
                Query("max by (deployment, kind) (monitor_waiting_deliveries)", "{{deployment}} {{kind}}"),
            )
        )
        .with_panel(
            graph(
                "Rows refused",
                Query(
                    "sum by (kind, reason) (increase(monitor_quarantined_rows_total[$__rate_interval]))",
                    "{{kind}} {{reason}}",
                ),
            )
        )
    )


def _promise(board: Dashboard) -> Dashboard:
    return (
        board.with_row(row("The promise"))
        .with_panel(
            graph(
                "Alarms within a week",
                Query("job_deployment_channel:monitor_alarms:increase7d", "{{deployment}} {{channel}}"),
            )
        )
        .with_panel(
            graph(
                "Promised at most, on average",
                Query("job_deployment_channel:monitor_promised_alarms:increase7d", "{{deployment}} {{channel}}"),
                about="False alarms within a week, by `detect.false_alarms` and the batches that came.",
            )
        )
    )


def _process(board: Dashboard) -> Dashboard:
    return (
        board.with_row(row("The process"))
        .with_panel(graph("Memory", Query(own("resident_memory_bytes"), "{{instance}}"), unit="bytes", span=8))
        .with_panel(graph("Open files", Query(own("open_fds"), "{{instance}}"), span=8))
        .with_panel(
            graph(
                "Processors",
                Query(
                    "rate(process_cpu_seconds_total[$__rate_interval]) and on (job, instance) monitor_up",
                    "{{instance}}",
                ),
                span=8,
            )
        )
    )

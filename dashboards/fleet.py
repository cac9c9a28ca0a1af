"""All deployments at a glance: what fires, what drifts, what waits."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Query, listing, number, page, row, states

_LAST = "max by (deployment) "


def fleet() -> Dashboard:
    return (
        page("Driftloop: fleet", "driftloop-fleet")
        .with_panel(number("Deployments", "count(max by (deployment) (monitor_rows_total))"))
        .with_panel(
            number(
                "Deployments that drift",
                'count(max by (deployment) (monitor_verdict{verdict="drift"}) == 1) or vector(0)',
                bad_from=1,
            )
        )
        .with_panel(
            number(
                "Last batch cannot be used",
                'count(max by (deployment) (monitor_verdict{verdict="bad_data"}) == 1) or vector(0)',
                bad_from=1,
            )
        )
        .with_panel(
            number("Critical alerts", 'count(ALERTS{alertstate="firing",severity="critical"}) or vector(0)', bad_from=1)
        )
        .with_panel(number("Batches, 24 h", "sum(max by (deployment, verdict) (increase(monitor_batches_total[1d])))"))
        .with_panel(number("Files that wait", "sum(max by (deployment, kind) (monitor_waiting_deliveries))"))
        .with_row(row("What fires"))
        .with_panel(
            listing(
                "Alerts",
                {"": 'max by (severity, alertname, deployment, channel) (ALERTS{alertstate="firing"})'},
                about="Each has a page in docs/runbooks.",
            )
        )
        .with_row(row("What was seen"))
        .with_panel(
            states(
                "Drift",
                Query("job_deployment_channel:monitor_drift:max", "{{deployment}} {{channel}}"),
            )
        )
        .with_row(row("How they stand"))
        .with_panel(
            listing(
                "Deployments",
                {
                    "Performance": f"{_LAST}(monitor_performance)",
                    "On held-out rows": f"{_LAST}(monitor_performance_held_out)",
                    "Rows with a label": f"{_LAST}(monitor_labels_coverage_ratio)",
                    "Seconds since a batch came": (
                        f'time() - {_LAST}(monitor_last_arrival_timestamp_seconds{{kind="batch"}})'
                    ),
                    "Seconds since training": f"time() - {_LAST}(monitor_model_created_timestamp_seconds)",
                },
                about="Performance is that of the newest window with enough labels.",
            )
        )
    )

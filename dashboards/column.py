"""One column of one channel: how far it moved, and the measures that are exported."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.parts import Query, choice, graph, page

_OF = 'deployment="$deployment",channel="$channel",column="$column"'


def column() -> Dashboard:
    moved = 'monitor_column_shift{deployment="$deployment",channel="$channel"}'
    return (
        page("Driftloop: column", "driftloop-column")
        .with_variable(choice("deployment", "Deployment", "label_values(monitor_rows_total, deployment)"))
        .with_variable(choice("channel", "Channel", 'label_values(monitor_verdict{deployment="$deployment"}, channel)'))
        .with_variable(
            choice("column", "Column", f"query_result({moved} or {moved.replace('column_shift', 'measure')})").regex(
                '/column="([^"]+)"/'
            )
        )
        .with_panel(
            graph(
                "Shift",
                Query(f"max(monitor_column_shift{{{_OF}}})", "shift"),
                Query(f"max(monitor_column_shift_low{{{_OF}}})", "low"),
                Query(f"max(monitor_column_shift_high{{{_OF}}})", "high"),
                span=24,
                about="On the AUC scale, or as a share; while the column is among the ten that moved most.",
            )
        )
        .with_panel(
            graph(
                "Measures",
                Query(f"max by (measure) (monitor_measure{{{_OF}}})", "{{measure}}"),
                span=24,
                about="Those named in `detect.export`.",
            )
        )
        .with_panel(
            graph(
                "The channel's other columns",
                Query(f"max by (column) ({moved})", "{{column}}"),
                span=24,
                about="`other` is the one of the rest that moved most.",
            )
        )
    )

"""What all dashboards are made of: variables, rows, and panels that say their queries in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shown
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT, WIDTH = 8, 24  # of a panel, of the page
TAG = "driftloop"

Panel = Builder[model.Panel]


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what its series are called: `{{label}}` is the value of a label."""

    expr: str
    legend: str = "__auto"


def page(title: str, uid: str, *, since: str = "now-7d") -> dashboard.Dashboard:
    """An empty dashboard with the choice of the data source, and links to the others."""
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags([TAG])
        .refresh("1m")
        .time(since, "now")
        .timezone("utc")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(dashboard.DashboardLink("Driftloop").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).keep_time(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )


def choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A variable whose values are those of a label: `label_values(METRIC, LABEL)`."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )


def event(name: str, expr: str, colour: str) -> dashboard.AnnotationQuery:
    """A line across all graphs wherever `expr` has a value."""
    return dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expr)


def graph(title: str, *queries: Query, unit: str = "short", span: int = 12, about: str = "") -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(shown.LegendDisplayMode.LIST).show_legend(True)
    panel = timeseries.Panel().title(title).description(about).datasource(SOURCE).unit(unit)
    panel = panel.span(span).height(HEIGHT).legend(legend.placement(shown.LegendPlacement.BOTTOM)).fill_opacity(5)
    for place, query in enumerate(queries):
        target = (
            prometheus.Dataquery().expr(query.expr).range().legend_format(query.legend).ref_id(ascii_uppercase[place])
        )
        panel = panel.with_target(target)
    return panel


def number(title: str, expr: str, *, unit: str = "short", span: int = 4, bad_from: float | None = None) -> stat.Panel:
    """One number; red from `bad_from` on, where that is given."""
    steps = [model.Threshold(value=None, color="text")]
    if bad_from is not None:
        steps = [model.Threshold(value=None, color="green"), model.Threshold(value=bad_from, color="red")]
    return (
        stat.Panel()
        .title(title)
        .datasource(SOURCE)
        .unit(unit)
        .span(span)
        .height(4)
        .graph_mode(shown.BigValueGraphMode.NONE)
        .thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(prometheus.Dataquery().expr(expr).instant().ref_id("A"))
    )


def name(title: str, query: Query, *, span: int = 4) -> stat.Panel:
    """What the series is called, not its value."""
    return (
        stat.Panel()
        .title(title)
        .datasource(SOURCE)
        .span(span)
        .height(4)
        .text_mode(shown.BigValueTextMode.NAME)
        .graph_mode(shown.BigValueGraphMode.NONE)
        .color_mode(shown.BigValueColorMode.NONE)
        .with_target(prometheus.Dataquery().expr(query.expr).instant().legend_format(query.legend).ref_id("A"))
    )


def states(title: str, query: Query, *, colours: tuple[str, str] = ("green", "red"), span: int = 24) -> Panel:
    """A band per series, in one colour where it is 0 and in another where it is 1."""
    no, yes = colours
    words = model.ValueMap(
        options={
            "0": model.ValueMappingResult(text="no", color=no),
            "1": model.ValueMappingResult(text="yes", color=yes),
        }
    )
    return (
        statetimeline.Panel()
        .title(title)
        .datasource(SOURCE)
        .span(span)
        .height(HEIGHT)
        .mappings([words])
        .show_value(shown.VisibilityMode.NEVER)
        .with_target(prometheus.Dataquery().expr(query.expr).range().legend_format(query.legend).ref_id("A"))
    )


def listing(title: str, columns: Mapping[str, str], *, about: str = "") -> table.Panel:
    """A row per set of labels, and a column per query, by its heading. A heading of "" is not shown."""
    panel = table.Panel().title(title).description(about).datasource(SOURCE).span(WIDTH).height(HEIGHT)
    for place, expr in enumerate(columns.values()):
        target = prometheus.Dataquery().expr(expr).instant().format(PromQueryFormat.TABLE)
        panel = panel.with_target(target.ref_id(ascii_uppercase[place]))
    fields = ["Value"] if len(columns) == 1 else [f"Value #{ascii_uppercase[place]}" for place in range(len(columns))]
    headings = dict(zip(fields, columns, strict=True))
    organised = {
        "excludeByName": {"Time": True, **{field: True for field, heading in headings.items() if not heading}},
        "renameByName": {field: heading for field, heading in headings.items() if heading},
    }
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organised))


def row(title: str) -> dashboard.Row:
    return dashboard.Row(title)

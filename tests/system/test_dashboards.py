"""Every query of every dashboard, asked of a real Prometheus that scrapes a real daemon with a past."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pytest

from dashboards.__main__ import FOLDER, files
from monitor.adapters.metrics.catalogue import metric_names
from monitor.app.retrain_model import Orders
from monitor.bootstrap import open_application
from monitor.domain.verdict import Channel, Verdict
from tests.support.project import Project
from tests.support.running import Running, until
from tests.support.servers import Prometheus, prometheus_of, write_rules

BOARDS = ("column", "deployment", "fleet", "operations")
CHOSEN = {
    "$deployment": "tiny",
    "$channel": "inputs",
    "$column": "a",
    "$__rate_interval": "1m",
}
WATCHED = {
    "detect": {"false_alarms": "1 per 100 batches", "channels": {"inputs": "alert"}, "export": ["ks"]},
    "performance": {"metric": "accuracy", "floor": 0.5},
    "retrain": {"min_labels": 200, "when": {"new_labels": 100.0, "change": False, "distance": False}},
}


def test_the_shipped_dashboards_are_those_of_the_code():
    shipped = {file.name: file.read_text() for file in FOLDER.glob("*.json")}
    assert shipped == files(), "write them anew: python -m dashboards"


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_numbers_and_queries_names_of_their_own(name):
    board = json.loads((FOLDER / f"{name}.json").read_text())
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in board["panels"]:
        names = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(names)) == len(names)
        assert all(names)
        assert panel["type"] == "row" or names


def queries(name: str) -> list[str]:
    """Of panels, annotations and variables."""
    board = json.loads((FOLDER / f"{name}.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    annotations = [annotation["expr"] for annotation in board.get("annotations", {}).get("list", [])]
    chosen = [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    of_variables = [re.sub(r"^(?:label_values|query_result)\((.*?)(?:, \w+)?\)$", r"\1", query) for query in chosen]
    return [filled(query) for query in (*panels, *annotations, *of_variables)]


def filled(query: str) -> str:
    for variable, value in CHOSEN.items():
        query = query.replace(variable, value)
    assert "$" not in query, query
    return query


def test_they_ask_for_metrics_that_exist():
    asked = {name for board in BOARDS for query in queries(board) for name in re.findall(r"\bmonitor_\w+", query)}
    known = {known + suffix for known in metric_names() for suffix in ("", "_bucket")}
    recorded = {"monitor_drift", "monitor_alarms", "monitor_promised_alarms"}
    assert asked - recorded <= known


def past(project: Project) -> None:
    """Labels, drift that stands, rows that were refused in the last batch, and then a promotion."""
    for shift in (*[0.0] * 4, *[2.0] * 5):
        project.add_batch(shift=shift)
    rows = project.next_rows(shift=2.0).drop_columns(["y"])
    broken = rows.set_column(rows.schema.get_field_index("a"), "a", pa.array(["2.0"] * 115 + ["?"] * 5))
    project.write(project.incoming / "some_refused.parquet", broken)
    with open_application(project.config) as app:
        last = app.once()[-1]
        assert app.retrain("tiny", Orders(), lambda share, what: None)["outcome"] == "promote"
    assert last.rejected
    assert last.verdicts[Channel.INPUTS].verdict is Verdict.DRIFT


@pytest.fixture(scope="module")
def scraped(prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrapes a daemon with a past, on which an operator has just gone back and forth."""
    folder = tmp_path_factory.mktemp("dashboards")
    project = Project.create(folder / "project", changes=WATCHED)
    past(project)
    rules = write_rules(project, folder)
    running = Running(project)
    with ExitStack() as servers:
        servers.callback(lambda: (running.process.kill(), running.process.wait()))
        address = str(running.wait_for("started")["address"]).removeprefix("http://")
        scraping = servers.enter_context(prometheus_of(prometheus, folder, address, rules=rules))
        until(lambda: scraping.query("monitor_last_success_timestamp_seconds"))
        with open_application(project.config) as operator:
            operator.rollback("tiny", "to be seen")
            operator.promote("tiny", 2, "to be seen")
        yield scraping


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("name", BOARDS)
def test_every_query_returns_data(name, scraped):
    empty = []
    for query in queries(name):
        try:
            until(lambda query=query: scraped.query(query), seconds=15)
        except AssertionError:
            empty.append(query)
    assert not empty

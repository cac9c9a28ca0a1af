"""A real Prometheus scrapes the real daemon."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import Project
from tests.support.running import Running, until
from tests.support.servers import get, prometheus_of
from tests.system.test_daemon import OFF, recorded

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, after three batches were judged."""
    project = Project.create(tmp_path_factory.mktemp("scraped") / "project", changes=OFF)
    names = [project.add_batch() for _ in range(3)]
    running = Running(project)
    try:
        address = str(running.wait_for("started")["address"])
        until(lambda: (project.folder / "var" / "monitor.db").exists() and recorded(project) == names)
        yield address
    finally:
        running.process.terminate()
        running.process.wait()


@pytest.fixture
def query(prometheus: Path, daemon: str, tmp_path: Path) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Ask a Prometheus that scrapes the daemon every second."""
    with prometheus_of(prometheus, tmp_path, daemon.removeprefix("http://")) as scraping:
        yield scraping.query


def test_the_metrics_are_well_formed(daemon, promtool):
    done = subprocess.run(
        [str(promtool), "check", "metrics"], input=get(f"{daemon}/metrics"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_is_healthy_and_ready(daemon):
    assert get(f"{daemon}/-/healthy") == "healthy\n"
    assert get(f"{daemon}/-/ready") == "ready\n"


def test_a_query_returns_the_verdicts(query):
    until(lambda: query('up{job="monitor"} == 1'))
    until(lambda: query("monitor_verdict"))
    now = query('monitor_verdict{deployment="tiny", verdict="ok"} == 1')
    assert {"inputs", "predictions", "labels"} <= {series["metric"]["channel"] for series in now}
    (counted,) = query('sum(monitor_batches_total{deployment="tiny"})')
    assert float(counted["value"][1]) == 3
    (rows,) = query('monitor_rows_total{deployment="tiny"}')
    assert float(rows["value"][1]) == 360

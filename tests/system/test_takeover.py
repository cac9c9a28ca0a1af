"""Two daemons on one store: one works, the other stands by, and takes over when the first is killed or hangs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from monitor.adapters.store.sql_store import SqlStore
from monitor.bootstrap import open_application
from tests.support.postgresql import new_database
from tests.support.project import Project
from tests.support.running import Running, until

LEASE, BEAT = 4.0, 1.0  # seconds
SLACK = 3.0  # a machine with other work; not part of what is promised

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return new_database(request.getfixturevalue("postgresql"), "takeover")
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def project(url: str, tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "project", changes={"retrain": {"mode": "off"}})
    file = project.config / "monitor.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "store": url, "lease": f"{LEASE:g}s"}))
    return project


@pytest.fixture
def daemons(project: Project) -> Iterator[tuple[Running, Running]]:
    """The first at work, the second standing by."""
    project.add_batch()
    first = Running(project, "first.log")
    second = None
    try:
        first.wait_for("promoted")
        second = Running(project, "second.log")
        second.wait_for("standing_by")
        yield first, second
    finally:
        for each in (first, second):
            if each is not None:
                each.process.kill()
                each.process.wait()


def took_over(running: Running, since: datetime) -> float:
    """Seconds from `since` until it took the deployment over."""
    told = running.wait_for("took_over")
    return (datetime.fromisoformat(str(told["timestamp"])) - since).total_seconds()


def test_one_works_and_the_other_takes_over(project: Project, url: str, daemons: tuple[Running, Running]):
    first, second = daemons
    store = SqlStore(url)

    def recorded() -> list[str]:
        return [record["batch"] for record in store.records("tiny")]

    names = ["batch_000", project.add_batch()]
    until(lambda: recorded() == names)
    assert not second.events("took_over"), "the first one is well"

    hung = datetime.now(UTC)
    first.process.send_signal(signal.SIGSTOP)  # it lives, but does nothing: only the lease can tell
    names.append(project.add_batch())
    after_hanging = took_over(second, hung)
    assert LEASE - BEAT - SLACK <= after_hanging <= LEASE + BEAT + SLACK
    until(lambda: recorded() == names)

    first.process.send_signal(signal.SIGCONT)
    first.wait_for("standing_by")
    names.append(project.add_batch())
    until(lambda: recorded() == names)

    killed = datetime.now(UTC)
    second.process.kill()
    second.process.wait()
    names.append(project.add_batch())
    after_kill = took_over(first, killed)
    assert after_kill <= LEASE + BEAT + SLACK
    until(lambda: recorded() == names)
    assert first.stop() == 0
    with open_application(project.config) as app:
        assert [len(app.measures("tiny", name) or ()) > 0 for name in names] == [True] * 5
    store.close()

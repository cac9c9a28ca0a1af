"""A loss that nothing mends: promotions close its alarms, and the deployment is still held to what it once promised."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from monitor.adapters.metrics.collector import StoreCollector, registry_of
from monitor.app.daemon import Health
from monitor.app.standard_status import MissedStandard, missed_standard
from monitor.bootstrap import Application, open_application
from monitor.domain.standard import WINDOWS
from monitor.domain.verdict import Channel, Verdict
from tests.support.project import Project

# Every attempt promotes, as in the wild where everything has become equally bad. No label is doubted: these are right.
CHANGES: dict[str, Any] = {
    "labels": {"hold": 0},
    "retrain": {"min_labels": 400, "watch": 0},
    "gate": {"margin": 0.5, "max_latency_ratio": None},
}
CLEAN, NOISY = 4, 14


def add(project: Project, *, wrong: float = 0.0) -> None:
    """A batch of which a share of the labels is turned round at random: no model can do better than that."""
    rows = project.next_rows()
    given = rows.column("y").to_numpy(zero_copy_only=False)
    turned = np.random.default_rng(project.batches).random(len(given)) < wrong
    labels = np.where(turned, np.where(given == "UP", "DOWN", "UP"), given)
    project.write_batch(rows.set_column(rows.schema.get_field_index("y"), "y", pa.array(labels)))


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.create(tmp_path_factory.mktemp("harmed") / "project", changes=CHANGES)
    with open_application(project.config) as app:
        for k in range(CLEAN + NOISY):
            add(project, wrong=0.3 if k >= CLEAN else 0.0)
            app.once()
    return project


@pytest.fixture
def copy(harmed: Project, tmp_path: Path) -> Project:
    shutil.copytree(harmed.folder, tmp_path / "copy")
    return Project(tmp_path / "copy", batches=harmed.batches)


def missed(app: Application) -> MissedStandard | None:
    return missed_standard(app.store, app.deployments["tiny"])


def events(app: Application, event: str) -> list[dict[str, Any]]:
    return app.store.events("tiny", event=event)


def test_promotions_that_mend_nothing_close_the_alarm_and_not_the_matter(harmed: Project):
    with open_application(harmed.config) as app:
        judged = [record["verdicts"][Channel.PERFORMANCE] for record in app.store.records("tiny", last=WINDOWS + 1)]
        assert Verdict.DRIFT not in {verdict["verdict"] for verdict in judged}, "nothing else tells of it"
        assert len(events(app, "promoted")) > 2
        (told,) = events(app, "standard_missed")
        assert CLEAN <= int(told["batch"].removeprefix("batch_")) <= CLEAN + 6
        found = missed(app)
        assert found is not None
        assert (found.since, found.version, found.lasting) == (told["batch"], 1, True)
        assert found.reached is not None
        assert found.reached > 1.3 * found.standard
        registry = registry_of(StoreCollector(app.store, app.deployments, lambda _: Health()))
        assert registry.get_sample_value("monitor_performance_not_restored", {"deployment": "tiny"}) == 1


def test_it_is_over_when_later_windows_are_as_good_as_before(copy: Project):
    with open_application(copy.config) as app:
        for _ in range(14):
            add(copy)
            app.once()
        (told,) = events(app, "standard_met")
        assert told["since"] == events(app, "standard_missed")[0]["batch"]
        assert missed(app) is None


def test_who_acknowledges_it_sets_another_standard(copy: Project):
    with open_application(copy.config) as app:
        before = missed(app)
        assert before is not None
        (closed,) = app.acknowledge("tiny", None, "the world is as it is")
        assert (closed.channel, closed.batch) == (Channel.PERFORMANCE, before.since)
        assert missed(app) is None
        for _ in range(6):
            add(copy, wrong=0.3)
            app.once()
        assert missed(app) is None, "the level of now is what it is held to"
        assert len(events(app, "standard_missed")) == 1


def test_a_version_that_a_person_promotes_sets_another_standard(copy: Project):
    with open_application(copy.config) as app:
        app.rollback("tiny", "try")
        assert missed(app) is not None, "a rollback is no choice of a level"
        app.promote("tiny", 2, "better for us")
        assert missed(app) is None

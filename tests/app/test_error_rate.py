"""`detect.error_rate: adwin` in a deployment: one alarm when the errors rise, long before the loss has its evidence."""

from __future__ import annotations

import pytest

from monitor.bootstrap import open_application
from monitor.config.reading import load_deployment
from monitor.domain.verdict import Channel
from monitor.errors import ConfigError
from tests.support.project import Project

QUIET, WORSE = 8, 2
DETECT = {"false_alarms": "1 per 100000 batches", "error_rate": "adwin"}
SETTINGS = {"retrain": {"mode": "off"}, "labels": {"hold": 0, "delay": "0s"}, "detect": DETECT}


def test_a_rise_of_the_errors_is_drift_until_it_is_acknowledged(tmp_path):
    project = Project.create(tmp_path, changes=SETTINGS)
    for k in range(QUIET + WORSE):
        project.add_batch(flipped=k >= QUIET)
    with open_application(project.config) as app:
        app.once()
        found = [record["verdicts"]["performance"] for record in app.store.records("tiny")]
        assert [verdict["verdict"] for verdict in found[-WORSE:]] == ["drift"] * WORSE
        assert [verdict["raised"] for verdict in found] == [False] * QUIET + [True] + [False] * (WORSE - 1)
        assert "the error rate has risen from" in found[-1]["reason"]
        assert found[-1]["evidence"] < found[-1]["threshold"], "the loss alone would not have raised it yet"
        (closed,) = app.acknowledge("tiny", Channel.PERFORMANCE, "seen")
        assert closed.alarm == found[-1]["reason"]
    project.add_batch(flipped=True)
    with open_application(project.config) as app:
        app.once()
        verdict = app.store.records("tiny")[-1]["verdicts"]["performance"]
    assert "error rate" not in verdict["reason"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"detect": {"rule": "per_batch", "error_rate": "adwin"}}, "`error_rate` has no meaning for rule `per_batch`"),
        (
            {
                "detect": {"error_rate": "adwin"},
                "schema": {"label": {"name": "y", "kind": "regression"}},
                "performance": {"metric": "mae"},
            },
            "only classes have an error rate",
        ),
    ],
)
def test_where_it_has_no_meaning_the_configuration_says_so(tmp_path, changes, said):
    project = Project.create(tmp_path, changes=changes)
    with pytest.raises(ConfigError, match=said):
        load_deployment(project.config / "deployments" / "tiny.yaml")

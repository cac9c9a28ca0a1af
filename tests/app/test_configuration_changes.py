"""Reloading again and again in one process: the next pass is not kept waiting, and nothing is left open."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from monitor.bootstrap import open_application
from monitor.errors import ConfigError
from tests.support.project import Project

RELOADS = 60
OFF = {"retrain": {"mode": "off"}}


def test_a_changed_deployment_goes_on_at_once_and_leaves_nothing_open(tmp_path: Path):
    project = Project.create(tmp_path / "project", changes=OFF)
    project.add_batch()
    process = psutil.Process()
    opened: list[int] = []
    with open_application(project.config) as app:
        app.once()
        for k in range(RELOADS):
            project.configure({**OFF, "performance": {"metric": "accuracy", "floor": k / 100}})
            if k % 20 == 0:
                project.add_batch()
            assert app.reload().changed == ("tiny",)
            assert len(app.once()) == (k % 20 == 0), "as if nothing had happened to it"
            opened.append(process.num_fds())
        assert app.deployments["tiny"].performance.floor == (RELOADS - 1) / 100
        (project.config / "deployments" / "tiny.yaml").unlink()
        with pytest.raises(ConfigError, match="no deployments are configured"):
            app.reload()
        assert (list(app.deployments), app.reloaded.successful) == (["tiny"], False)
    assert max(opened[RELOADS // 2 :]) <= max(opened[: RELOADS // 2])

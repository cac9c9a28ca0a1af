"""A defect in work beside the passes is told of and ends nothing else; here a file is in the way."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx
import pytest

from tests.support.project import Project
from tests.support.running import Running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


def test_a_crash_beside_the_passes_is_logged_and_counted_and_the_daemon_goes_on(tmp_path: Path):
    changes = {"retrain": {"mode": "off", "min_labels": 50}, "reports": {"when": "always"}}
    project = Project.create(tmp_path / "project", changes=changes)
    data = project.folder / "var"
    data.mkdir()
    (data / "reports").write_text("in the way")
    project.add_batch()
    running = Running(project)
    try:
        url = str(running.wait_for("started")["address"])
        told = running.wait_for("report_crashed")
        assert (told["level"], told["deployment"], told["batch"]) == ("error", "tiny", "batch_000")
        assert "NotADirectoryError" in str(told["error"])
        assert "report_batch.py" in str(told["exception"]), "where it happened"

        shutil.rmtree(data / "staging")
        (data / "staging").write_text("in the way")
        httpx.post(f"{url}/api/v1/deployments/tiny/retrain", json={}, timeout=60)
        told = running.wait_for("retrain_crashed")
        assert (told["level"], told["deployment"]) == ("error", "tiny")
        assert "NotADirectoryError" in str(told["error"])
        failed = r'^monitor_retrain_attempts_total\{deployment="tiny",outcome="failed"\} 1\.0$'
        until(lambda: re.search(failed, httpx.get(f"{url}/metrics", timeout=60).text, re.MULTILINE))

        project.add_batch()
        running.wait_for("report_crashed", 2)
        assert not running.events("pass_failed")
        assert running.stop() == 0
    finally:
        running.process.kill()
        running.process.wait()

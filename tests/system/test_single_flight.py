"""Two processes that are asked to retrain at once: one attempt after the other, never two together."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime

import pytest

from monitor.bootstrap import open_application
from tests.support.project import Project

pytestmark = pytest.mark.slow


def test_two_processes_retrain_one_after_the_other(tmp_path):
    project = Project.create(tmp_path, changes={"gate": {"kind": "off"}})
    for _ in range(3):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
    command = [sys.executable, "-m", "monitor", "-c", str(project.config), "--json", "--debug", "retrain"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    spans, versions = [], []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        versions.append(json.loads(out)["version"])
        logged = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        at = {line["event"]: datetime.fromisoformat(line["timestamp"]) for line in logged}
        spans.append((at["retrain_started"], at["retrain_ended"]))
    assert sorted(versions) == [2, 3]
    (_, first_end), (second_start, _) = sorted(spans)
    assert first_end <= second_start

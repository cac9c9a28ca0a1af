"""The backup that the page describes, made of a daemon at work, restores to a project that ends as the daemon did."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.adapters.store.sql_store import SqlStore
from monitor.bootstrap import open_application
from tests.support.project import Project
from tests.support.running import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "backup.md"
LEARNS = {"retrain": {"min_labels": 200, "min_batches": 2}}


def judged(project: Project) -> dict[str, Any]:
    """Of each batch what was seen and decided; a batch that was judged twice is an error."""
    store = SqlStore(f"sqlite:///{project.folder / 'var' / 'monitor.db'}")
    records = store.records("tiny")
    store.close()
    found = {
        record["batch"]: (record["decision"], {c: seen["verdict"] for c, seen in record["verdicts"].items()})
        for record in records
    }
    assert len(found) == len(records)
    return found


def test_a_copy_of_a_daemon_at_work_goes_on_and_ends_as_the_daemon_did(tmp_path):
    live = Project.create(tmp_path / "live", changes=LEARNS)
    (live.folder / ".venv" / "bin").mkdir(parents=True)
    (live.folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (commands, *_) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for _ in range(4):
        live.add_batch()
    daemon = Running(live)
    try:
        daemon.wait_for("decision")
        subprocess.run(["bash", "-ec", commands], cwd=live.folder, check=True)
        live.add_batch()
        daemon.wait_for("decision", 5)
        assert daemon.stop() == 0
    finally:
        daemon.process.kill()
        daemon.process.wait()

    again = Project(tmp_path / "again")
    shutil.copytree(live.folder, again.folder, ignore=shutil.ignore_patterns("var", "backup"))
    shutil.copytree(live.folder / "backup", again.folder / "var")
    assert 0 < len(judged(again)) < 5
    with open_application(again.config) as app:
        app.once()
    assert judged(again) == judged(live)
    assert "retrain" in {decision for decision, _ in judged(live).values()}

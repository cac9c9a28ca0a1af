"""`monitor rules`: printed, written whole, and told as JSON."""

from __future__ import annotations

import json

import yaml

from monitor.cli.main import main
from tests.support.project import Project


def test_rules_are_printed_or_written_and_are_the_same(tmp_path, capsys):
    project = Project.create(tmp_path / "project")
    assert main(["-c", str(project.config), "rules"]) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "prometheus" / "rules.yaml"
    assert main(["-c", str(project.config), "rules", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: {printed.count('- alert:')} alerts for 1 deployment\n"
    assert out.read_text() == printed
    assert main(["-c", str(project.config), "--json", "rules"]) == 0
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(printed)
    assert not (project.folder / "var").exists(), "it needs no data"


def test_a_schedule_that_never_comes_is_said_and_the_file_stays(tmp_path, capsys):
    project = Project.create(tmp_path / "project")
    out = tmp_path / "rules.yaml"
    out.write_text("as before")
    project.configure({"schedule": {"every": None, "cron": "0 0 30 2 *"}})
    assert main(["-c", str(project.config), "rules", "--out", str(out)]) == 2
    assert "'0 0 30 2 *' never comes" in capsys.readouterr().err
    assert out.read_text() == "as before"

"""Performance of batches before their labels, as a user sees it."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from monitor.bootstrap import open_application
from monitor.cli.main import app as cli
from tests.support.project import Project, deployment


def test_every_batch_has_an_estimate_and_keeps_it_when_labels_come(tmp_path):
    schema = {**deployment()["schema"], "segments": ["colour"]}
    project = Project.create(tmp_path, changes={"retrain": {"mode": "off"}, "schema": schema})
    project.batch_rows = 500
    for share in (None, None, None, 0.95, None):
        project.add_batch(labels=False, **({} if share is None else {"share": share}))
    with open_application(project.config) as app:
        app.once()
        before = {record["batch"]: record for record in app.store.records("tiny")}
    assert before["batch_003"]["performance"]["assumption"] in ("label_shift", "undecided")
    for record in before.values():
        seen = record["performance"]
        assert seen["realised"] is None
        assert seen["estimated_low"] <= seen["estimated"] <= seen["estimated_high"]
        segments = record["performance_segments"]["colour"]
        assert set(segments) == {"red", "green", "blue"}
        assert sum(segment["rows"] for segment in segments.values()) == 500


def test_accuracy_by_confidence_alone(tmp_path):
    performance = {**deployment()["performance"], "metric": "accuracy", "estimate": "atc"}
    project = Project.create(tmp_path, changes={"retrain": {"mode": "off"}, "performance": performance})
    project.batch_rows = 500
    for _ in range(3):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
        known = [record["performance"] for record in app.store.records("tiny")]
    assert [seen["assumption"] for seen in known] == ["confidence"] * 3
    assert sum(s["estimated_low"] <= s["realised"] <= s["estimated_high"] for s in known if s["realised"]) >= 1
    said = CliRunner().invoke(cli, ["status", "tiny", "-c", str(project.config)]).stdout
    assert "as sure of" in " ".join(said.split())


def test_the_estimate_is_held_against_what_is_realised(tmp_path):
    project = Project.create(tmp_path, changes={"retrain": {"mode": "off"}})
    project.batch_rows = 500
    for _ in range(6):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
        records = app.store.records("tiny")
    known = [r["performance"] for r in records if r["performance"]["realised"] is not None]
    assert len(known) >= 4
    inside = [seen["estimated_low"] <= seen["realised"] <= seen["estimated_high"] for seen in known]
    assert sum(inside) >= len(known) - 1
    assert all(seen["calibration_p_value"] > 1e-4 for seen in known)

    said = CliRunner().invoke(cli, ["status", "tiny", "-c", str(project.config)]).stdout
    assert "estimated" in said
    told = json.loads(CliRunner().invoke(cli, ["status", "tiny", "-c", str(project.config), "--json"]).stdout)
    last = records[-1]["performance"]
    assert (told[0] if isinstance(told, list) else told)["performance"]["estimated"] == last["estimated"]
    if last["realised"] is None:
        assert "≈" in CliRunner().invoke(cli, ["history", "tiny", "-c", str(project.config)]).stdout

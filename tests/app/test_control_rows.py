"""Rows whose prediction was not used: their labels beside those of the others, and a warning when they part."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from monitor.app.status import deployment_status
from monitor.bootstrap import open_application
from monitor.domain.record import BatchRecord
from monitor.errors import ConfigError
from tests.support.project import START, Project, deployment

CHANGES: dict[str, Any] = {
    "retrain": {"mode": "off"},
    "detect": {"rule": "per_batch"},
    "schema": {**deployment()["schema"], "control": "held_back"},
}


class Heard:
    """A log that keeps the warnings about control rows."""

    def __init__(self) -> None:
        self.batches: list[str] = []

    def info(self, event: str, **fields: Any) -> None:
        pass

    def warning(self, event: str, **fields: Any) -> None:
        if event == "control_parted":
            self.batches.append(fields["batch"])

    error = warning


def add(project: Project, *, acted: bool, unmarked: bool = False) -> None:
    """A third is held back. When the predictions are `acted` on, half of what would be UP among the others is not."""
    rows = project.next_rows()
    n = rows.num_rows
    held_back = project.rng.random(n) < 1 / 3
    y = rows.column("y").to_numpy(zero_copy_only=False)
    changed = acted & ~held_back & (y == "UP") & (project.rng.random(n) < 0.5)
    rows = rows.set_column(rows.column_names.index("y"), "y", pa.array(np.where(changed, "DOWN", y)))
    marks = pa.array([None] * n, pa.bool_()) if unmarked else pa.array(held_back)
    name = f"batch_{project.batches - 1:03d}.parquet"
    project.write(project.labels / name, rows.select(["row_id", "y"]))
    project.write(project.incoming / name, rows.drop_columns(["y"]).append_column("held_back", marks))


def test_labels_with_and_without_control_rows_and_a_warning_when_they_part(tmp_path):
    project = Project.create(tmp_path / "project", changes=CHANGES)
    project.batch_rows = 600
    add(project, acted=False)
    add(project, acted=True)
    add(project, acted=False, unmarked=True)
    add(project, acted=False)
    heard = Heard()
    with open_application(project.config, log=heard) as app:
        app.once()
        first, acted, unmarked, _ = records = app.store.records("tiny")
        assert heard.batches == ["batch_001"]
        app.once()
        status = deployment_status(app.store, app.deployments["tiny"], START)
    assert heard.batches == ["batch_001"]  # said once
    for record in records:
        assert json.loads(json.dumps(BatchRecord.from_dict(record).to_dict())) == record
    usual, parted = first["performance"]["control"], acted["performance"]["control"]
    assert (usual["parted"], parted["parted"]) == (False, True)
    assert usual["served"]["rows"] + usual["control"]["rows"] == 600
    assert usual["control"]["labels"]["UP"] == pytest.approx(0.5, abs=0.12)
    assert parted["served"]["labels"]["UP"] == pytest.approx(0.25, abs=0.07)
    assert parted["control"]["labels"]["UP"] == pytest.approx(0.5, abs=0.12)
    assert parted["control"]["metric"] > parted["served"]["metric"] + 0.03
    assert unmarked["performance"]["control"] is None
    assert status.performance.control["parted"] is False


def test_a_cell_that_is_no_mark_and_a_file_without_the_column_are_refused(tmp_path):
    project = Project.create(tmp_path / "project", changes=CHANGES)
    rows = project.next_rows().drop_columns(["y"])
    marks = ["yes", "no"] * 60
    marks[3] = "perhaps"
    project.write(project.incoming / "batch_000.parquet", rows.append_column("held_back", pa.array(marks)))
    project.write(project.incoming / "batch_001.parquet", project.next_rows().drop_columns(["y"]))
    with open_application(project.config) as app:
        good, bad = app.once()
    assert (good.rows, good.quarantined) == (119, 1)
    assert "column 'held_back', row 4" in good.notes[-1]
    assert "missing column 'held_back'" in bad.verdicts["inputs"].reason


def test_a_feature_is_no_control_column(tmp_path):
    project = Project.create(tmp_path / "project", changes={"schema": {"control": "colour"}})
    with pytest.raises(ConfigError, match="'colour' is a feature and also id, timestamp, control, label or score"):
        open_application(project.config)

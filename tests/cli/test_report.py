"""Reports where the features cannot be drawn: only predictions can, and the first training rows have none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Monitor
from tests.support.project import Project


@pytest.fixture
def vectors(tmp_path: Path) -> Project:
    """One vector per row and nothing else."""
    changes = {"schema": {"features": {"v": "vector"}}, "gate": {"kind": "off"}, "reports": "always"}
    project = Project.create(tmp_path / "project", changes=changes)
    training = project.folder / "training.parquet"
    pq.write_table(with_vectors(pq.read_table(training)), training)
    deliver(project)
    return project


def with_vectors(rows: pa.Table) -> pa.Table:
    v = np.column_stack([rows["a"], rows["b"]]).astype(np.float32)
    return rows.append_column("v", pa.array(list(v), pa.list_(pa.float32())))


def deliver(project: Project) -> str:
    name = project.add_batch()
    file = project.incoming / f"{name}.parquet"
    project.write(file, with_vectors(pq.read_table(file)))
    return name


def test_nothing_to_draw_is_said_and_is_no_failure(monitor: Monitor, vectors: Project):
    (vectors.config / "monitor.yaml").write_text("log: {format: json, level: info}\n")
    judged = monitor("-c", vectors.config, "once", "--debug")
    assert (judged.code, "batch_000" in judged.out) == (0, True)
    (skipped,) = [json.loads(line) for line in judged.err.splitlines() if '"report_skipped"' in line]
    assert (skipped["level"], skipped["batch"]) == ("info", "batch_000")
    assert "rows that version 1 was trained on" in skipped["reason"]
    said = monitor("-c", vectors.config, "report", "batch_000")
    assert (said.code, said.out) == (0, "")
    assert said.err.replace("\n", " ").startswith("tiny: batch_000: nothing to draw: images and vectors have no place")
    told = monitor("-c", vectors.config, "report", "batch_000", "--json").json
    assert (told["report"], told["reason"]) == (None, skipped["reason"])
    assert not list((vectors.folder / "var").rglob("*.html"))


@pytest.mark.slow
def test_rows_that_were_scored_before_they_were_trained_on_have_predictions_to_compare(
    monitor: Monitor, vectors: Project
):
    assert monitor("-c", vectors.config, "once").code == 0
    assert monitor("-c", vectors.config, "retrain", "--json").json["version"] == 2
    name = deliver(vectors)
    assert monitor("-c", vectors.config, "once").code == 0
    page = Path(monitor("-c", vectors.config, "report", name, "--json").json["report"])
    assert "score:UP" in page.read_text()

"""Labels that are given to the sure cases only: said so, and weighted for the others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from monitor.app.status import deployment_status
from monitor.bootstrap import Application, open_application
from tests.support.project import Project

EACH = 3
SETTINGS = {"retrain": {"mode": "off"}, "labels": {"matured_at": 0.3}}


def deliver(project: Project, *, sure_only: bool) -> tuple[str, pa.Table]:
    """Half of the rows get a label: by chance, or because the model is sure of them."""
    rows = project.next_rows()
    name = f"batch_{project.batches - 1:03d}"
    sure = np.abs(rows["a"].to_numpy()) > 0.7
    chosen = pa.array(sure if sure_only else project.rng.random(rows.num_rows) < 0.5)
    project.write(project.labels / f"{name}.parquet", rows.select(["row_id", "y"]).filter(chosen))
    project.write(project.incoming / f"{name}.parquet", rows.drop_columns(["y"]))
    return name, rows


def accuracy(app: Application, batch: str, rows: pa.Table) -> float:
    """On all rows, which only this test knows the labels of."""
    scores = app.runtime("tiny").collected.scores(batch)
    return float(np.mean(np.where(scores[:, 1] > 0.5, "UP", "DOWN") == rows["y"].to_numpy(zero_copy_only=False)))


def test_a_warning_for_labels_of_sure_cases_and_none_for_labels_by_chance(tmp_path):
    project = Project.create(tmp_path, changes=SETTINGS)
    project.batch_rows = 400
    by_chance = dict(deliver(project, sure_only=False) for _ in range(EACH))
    selected = dict(deliver(project, sure_only=True) for _ in range(EACH))
    with open_application(project.config) as app:
        app.once()
        for batch in by_chance:
            record = app.store.record("tiny", batch)
            assert record is not None
            found = record["performance"]
            assert found["selection_p_value"] > 1e-3
            assert (found["selected_by"], found["weighted"]) == ([], None)
        misses = []
        for batch, rows in selected.items():
            record = app.store.record("tiny", batch)
            assert record is not None
            found = record["performance"]
            assert found["selection_p_value"] < 1e-3
            assert found["selected_by"][0] in ("a", "scores")
            truth = accuracy(app, batch, rows)
            misses.append((abs(found["realised"] - truth), abs(found["weighted"] - truth)))
        plain, weighted = np.mean(misses, axis=0)
        assert weighted < plain
        status = deployment_status(app.store, app.deployments["tiny"], app.runtime("tiny").clock())
        assert status.performance.selected_by
        assert status.performance.weighted is not None


def test_with_few_rows_on_either_side_nothing_is_said(tmp_path):
    project = Project.create(tmp_path, changes={**SETTINGS, "labels": {"matured_at": 0.1}})
    rows = project.next_rows()
    project.write(project.labels / "some.parquet", rows.select(["row_id", "y"]).slice(0, 29))
    project.write(project.incoming / "batch_000.parquet", rows.drop_columns(["y"]))
    with open_application(project.config) as app:
        app.once()
        record = app.store.record("tiny", "batch_000")
    assert record is not None
    assert record["performance"]["matured"]
    assert record["performance"]["selection_p_value"] is None

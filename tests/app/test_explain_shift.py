"""While an alarm stands the record says which type of shift it is, and what is most responsible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.bootstrap import open_application
from monitor.domain.record import BatchRecord
from tests.support.project import HOUR, START, Project, deployment, make_rows

CHANGES: dict[str, Any] = {
    "retrain": {"mode": "off"},
    "detect": {"rule": "per_batch", "hold": 1},
    "schema": {**deployment()["schema"], "segments": ["colour"]},
}


def project(folder: Path) -> Project:
    found = Project.create(folder, changes=CHANGES)
    training = make_rows(5000, found.rng, start=START - 40 * HOUR, first_id=1_000_000)
    pq.write_table(training, folder / "training.parquet")
    found.batch_rows = 600
    found.add_batch()
    return found


def judged(project: Project) -> list[dict[str, Any]]:
    with open_application(project.config) as app:
        app.once()
        records = app.store.records("tiny")
    for record in records:
        assert json.loads(json.dumps(BatchRecord.from_dict(record).to_dict())) == record
    return records


def test_class_shares_that_moved_are_a_label_shift_before_any_label_has_come(tmp_path):
    tiny = project(tmp_path / "project")
    for _ in range(2):
        tiny.add_batch(labels=False, share=0.85)
    usual, first, second = judged(tiny)
    assert usual["shift"] is None
    assert (second["shift"]["kind"], second["shift"]["evidence"]["labelled"]) == ("label", 0)
    assert [record["shift"]["batches"] for record in (first, second)] == [1, 2]
    assert second["shift"]["features"][0]["name"] == "a"


def test_inputs_that_moved_name_the_feature_the_segment_and_the_rows(tmp_path):
    tiny = project(tmp_path / "project")
    rows = tiny.next_rows()
    red = rows.column("colour").to_numpy(zero_copy_only=False) == "red"
    b = np.where(red, rows.column("b").to_numpy() + 4.0, rows.column("b").to_numpy())
    rows = rows.set_column(rows.column_names.index("b"), "b", pa.array(b)).drop_columns(["y"])
    tiny.write(tiny.incoming / "batch_001.parquet", rows)
    _, moved = judged(tiny)
    shift = moved["shift"]
    assert shift["kind"] == "covariate"
    assert shift["features"][0]["name"] == "b"
    top = shift["segments"][0]
    assert (top["column"], top["value"]) == ("colour", "red")
    assert top["responsible"] > 0.9
    assert top["rows"] < 0.5
    ids = rows.column("row_id").to_pylist()
    named = [ids.index(row["id"]) for row in shift["most_unlike"]]
    assert len(named) == 20
    assert red[named].all()
    assert {row["batch"] for row in shift["most_unlike"]} == {"batch_001"}


def test_a_relation_that_changed_under_inputs_that_stayed_is_a_concept_once_labels_come(tmp_path):
    tiny = project(tmp_path / "project")
    for _ in range(5):
        rows = tiny.next_rows()
        y = np.where(tiny.rng.random(600) < 0.35, "UP", rows.column("y").to_numpy(zero_copy_only=False))
        rows = rows.set_column(rows.column_names.index("y"), "y", pa.array(y))
        name = f"batch_{tiny.batches - 1:03d}.parquet"
        tiny.write(tiny.labels / name, rows.select(["row_id", "y"]))
        tiny.write(tiny.incoming / name, rows.drop_columns(["y"]))
    last = judged(tiny)[-1]
    assert last["verdicts"]["inputs"]["verdict"] == "ok"
    shift = last["shift"]
    assert shift["kind"] == "concept", shift
    assert shift["evidence"]["loss"] > 1.1 * shift["evidence"]["by_inputs"]

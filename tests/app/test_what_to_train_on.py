"""A project whose gate and candidates ask for more: what reaches the trainer, what is kept, and who can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.adapters.trainer import ChildTrainer
from monitor.app.ports import TrainingJob, TrainingResult
from monitor.app.retrain_model import Orders
from monitor.app.situation import estimated_prior, newest_change
from monitor.bootstrap import Application, open_application
from monitor.domain.anchor import is_anchor
from monitor.domain.gate import Check
from tests.support.project import Project

OWN = "models/selection.py:mine"
CHANGES = {
    "schema": {"segments": ["colour"]},
    "retrain": {"mode": "off", "candidates": ["all", "importance", "prior", OWN]},
    "gate": {"margin": 0.2, "anchor": {"share": 0.1, "margin": 0.5}},
}


class Witness:
    """The real trainer; what it was given is looked at before it is removed."""

    def __init__(self) -> None:
        self.job: TrainingJob | None = None
        self.rows = self.current = pa.table({})

    def train(self, job: TrainingJob, progress: Any) -> TrainingResult:
        self.job, self.rows = job, pq.read_table(job.snapshot)
        if job.current is not None:
            self.current = pq.read_table(job.current)
        return ChildTrainer().train(job, progress)


@dataclass
class Lived:
    project: Project
    app: Application
    seen: Witness
    attempt: dict[str, Any]


def quiet(share: float, what: str) -> None: ...


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Nine batches, the last two without labels; one attempt by hand."""
    project = Project.create(tmp_path_factory.mktemp("lived") / "project", changes=CHANGES)
    (project.folder / "models" / "selection.py").write_text("def mine(data, situation):\n    return data.target >= 0\n")
    for k in range(9):
        project.add_batch(labels=k < 7, shift=0.3 if k >= 5 else 0.0)
    with open_application(project.config) as app:
        app.once()
        seen = Witness()
        app.runtime("tiny").trainer = seen
        yield Lived(project, app, seen, app.retrain("tiny", Orders(), quiet))


def test_the_anchor_is_a_tenth_of_the_training_file_and_never_fitted_on(lived):
    rows = lived.seen.rows
    anchored = rows.filter(rows["_anchor"])
    assert set(anchored["_origin"].to_pylist()) == {"training"}
    assert 50 < anchored.num_rows < 110
    first = lived.app.store.manifest("tiny", 1)
    assert first.lineage.rows == 800 - anchored.num_rows  # nor was the first version
    assert first.window_rows == first.lineage.rows


def test_what_candidates_ask_for_reaches_the_trainer(lived):
    job = lived.seen.job
    assert lived.seen.current.num_rows == 7 * 120
    assert lived.seen.current.column_names == ["a", "b", "colour"]
    last = lived.app.store.records("tiny", last=1)[0]
    newest = pq.read_table(lived.project.incoming / f"{last['batch']}.parquet")
    assert lived.seen.current["a"].to_pylist()[-120:] == newest.sort_by("at")["a"].to_pylist()
    assert sum(job.prior.values()) == pytest.approx(1.0) and set(job.prior) == {"UP", "DOWN"}
    assert job.selections == {OWN: lived.project.folder / "models" / "selection.py"}
    assert job.change is None  # not asked for


def test_every_number_is_in_the_journal_and_in_the_manifest(lived):
    (event,) = lived.app.store.events("tiny", event="attempt")
    assert event["outcome"] == "promote", event["reason"]
    assert {"loss", "anchor", "metric accuracy", "latency", "leakage"} < {check["name"] for check in event["checks"]}
    assert set(event["facts"]) == {"all", "importance", "prior", OWN}
    assert event["facts"]["importance"]["effective_rows"] > 100
    assert set(event["intervals"]) == {*event["facts"], "champion"}
    manifest = lived.app.store.manifest("tiny", event["version"])
    assert manifest.checks == tuple(Check.from_dict(check) for check in event["checks"])
    assert lived.app.runtime("tiny").artefacts.verify(manifest)


def test_lineage_answers_both_ways(lived):
    second = lived.app.store.manifest("tiny", 2)
    assert set(second.lineage.batches) == {"training", *(f"batch_{k:03d}" for k in range(7))}
    assert all(count == 120 for batch, count in second.lineage.batches.items() if batch != "training")
    trained = [m.version for m in lived.app.store.manifests("tiny") if "batch_003" in m.lineage.batches]
    assert trained == [2]


def test_a_doubtful_estimate_of_the_shares_is_none(lived):
    runtime = lived.app.runtime("tiny")
    assert estimated_prior(runtime)
    last = lived.app.store.records("tiny", last=1)[0]
    with lived.app.store.transaction() as tx:
        tx.put_record("tiny", last["batch"], {**last, "label_fit": 1e-9})
    try:
        assert estimated_prior(runtime) == {}
    finally:
        with lived.app.store.transaction() as tx:
            tx.put_record("tiny", last["batch"], last)


def test_the_newest_change_is_that_of_a_standing_alarm(lived):
    runtime = lived.app.runtime("tiny")
    records = lived.app.store.records("tiny", last=2)
    found = {"name": "a", "measure": "location", "shift": 0.2, "low": None, "high": None, "p_value": None}
    at = records[0]["window_start"]

    def change(record: dict[str, Any], verdict: str, columns: list[dict[str, Any]]) -> None:
        inputs = {**record["verdicts"]["inputs"], "verdict": verdict, "columns": columns}
        with lived.app.store.transaction() as tx:
            tx.put_record("tiny", record["batch"], {**record, "verdicts": {**record["verdicts"], "inputs": inputs}})

    assert newest_change(runtime) is None
    change(records[0], "drift", [{**found, "since": at}])
    change(records[1], "insufficient_data", [])
    assert newest_change(runtime).isoformat() == at  # a batch that says nothing takes no alarm away
    change(records[1], "ok", [])
    assert newest_change(runtime) is None
    for record in records:
        change(record, record["verdicts"]["inputs"]["verdict"], record["verdicts"]["inputs"]["columns"])


def test_rows_of_the_anchor_file_are_taken_out_of_everything_else(tmp_path):
    project = Project.create(tmp_path / "project", changes={"retrain": {"mode": "off"}})
    training = pq.read_table(project.folder / "training.parquet")
    pq.write_table(training.slice(100, 60), project.folder / "trusted.parquet")
    project.configure({"retrain": {"mode": "off"}, "gate": {"anchor": {"path": "trusted.parquet"}}})
    for _ in range(4):
        project.add_batch()
    with open_application(project.config) as app:
        app.once()
        assert app.store.manifest("tiny", 1).lineage.rows == 740
        seen = Witness()
        app.runtime("tiny").trainer = seen
        app.retrain("tiny", Orders(mode="dry_run"), quiet)
    rows = seen.rows
    anchored = rows.filter(rows["_anchor"])
    assert anchored["row_id"].to_pylist() == training["row_id"].to_pylist()[100:160]
    ids = rows["row_id"].to_pylist()
    assert len(ids) == len(set(ids)) == 800 + 4 * 120


def test_the_anchor_is_the_same_rows_every_time_and_about_the_share():
    ids = [f"row {i}" for i in range(5000)]
    drawn = is_anchor(ids, 0.1)
    assert np.array_equal(is_anchor(ids[::-1], 0.1)[::-1], drawn)
    assert 420 < drawn.sum() < 580
    assert (is_anchor(ids, 0.2) >= drawn).all()
    assert not is_anchor(ids, 0.0).any()

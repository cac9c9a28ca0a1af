"""A model that is served elsewhere: its scores come with the rows, as columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.config.reading import load_deployment
from monitor.domain.verdict import Verdict
from monitor.errors import ConfigError
from tests.support.project import START, Project, deployment, make_rows

SERVED: dict[str, Any] = {"model": {"scores": ["p_up"]}}


def scored(rows: pa.Table, *, column: str = "p_up") -> pa.Table:
    """With the probability that the rows' own rule gives to UP."""
    a = rows.column("a").to_numpy()
    return rows.append_column(column, pa.array(1 / (1 + np.exp(-2.5 * a))))


class Served:
    """A project without model code: nothing of `models/` is there."""

    def __init__(self, folder: Path, changes: dict[str, Any]) -> None:
        self.project = Project.create(folder)
        (folder / "models" / "model.py").unlink()
        self.project.batch_rows = 400
        plain = {**deployment(), **changes}
        del plain["retrain"]
        (self.project.config / "deployments" / "tiny.yaml").write_text(yaml.safe_dump(plain))
        training = folder / "training.parquet"
        pq.write_table(scored(pq.read_table(training)), training)

    def add_batch(self, *, spoil: Any = None, **how: Any) -> None:
        rows = scored(self.project.next_rows(**how))
        name = f"batch_{self.project.batches - 1:03d}.parquet"
        self.project.write(self.project.labels / name, rows.select(["row_id", "y"]))
        rows = rows.drop_columns(["y"])
        self.project.write(self.project.incoming / name, rows if spoil is None else spoil(rows))


def with_scores(values: dict[int, float | None]) -> Any:
    def spoil(rows: pa.Table) -> pa.Table:
        column = rows.column("p_up").to_pylist()
        for row, value in values.items():
            column[row] = value
        return rows.set_column(rows.column_names.index("p_up"), "p_up", pa.array(column, pa.float64()))

    return spoil


def collected(app: Application, batch: str) -> pa.Table:
    return app.runtime("tiny").collected.read(batch)


def test_scores_are_taken_from_the_batch_and_judged_like_those_of_a_model_of_ours(tmp_path):
    served = Served(tmp_path / "project", SERVED)
    served.add_batch()
    served.add_batch(share=0.95)
    served.add_batch()
    with open_application(served.project.config) as app:
        records = {record.batch: app.store.record("tiny", record.batch) for record in app.once()}
        manifest = app.store.manifest("tiny", 1)
        rows = collected(app, "batch_001")
        with pytest.raises(ConfigError, match=r"tiny: the model is served elsewhere \(`model\.scores`\)"):
            app.retrain("tiny", Orders(mode="dry_run"), lambda done, word: None)
    assert manifest is not None
    assert (manifest.origin, manifest.code, manifest.classes) == ("initial", "", ("DOWN", "UP"))
    assert manifest.held_out_rows == 800
    assert manifest.metrics["accuracy"] > 0.8
    assert rows.column("score:UP").equals(rows.column("p_up"))
    assert pc.all(pc.equal(pc.add(rows.column("score:UP"), rows.column("score:DOWN")), 1.0)).as_py()
    assert rows.column("corrected:UP").to_numpy().mean() > 0.9  # beside: others serve, so nothing is switched
    first, moved = records["batch_000"], records["batch_001"]
    assert set(first["verdicts"]) == {"inputs", "predictions", "labels", "performance"}
    assert first["label_prior"]["UP"]["low"] < 0.5 < first["label_prior"]["UP"]["high"]
    assert moved["label_prior"]["UP"]["low"] < 0.95 < moved["label_prior"]["UP"]["high"]
    assert records["batch_000"]["performance"]["realised"] == pytest.approx(manifest.metrics["accuracy"], abs=0.06)
    assert {record["decision"] for record in records.values()} <= {"idle", "off"}


def test_a_row_whose_score_cannot_be_one_is_quarantined_by_name(tmp_path):
    served = Served(tmp_path / "project", SERVED)
    served.add_batch(spoil=with_scores({3: None, 7: 1.2, 11: float("nan"), 20: float("inf")}))
    with open_application(served.project.config) as app:
        (record,) = app.once()
    assert (record.rows, record.quarantined) == (396, 4)
    folder = served.project.folder / "var" / "collected" / "tiny" / "quarantine"
    refused = pq.read_table(next(folder.glob("*.parquet"))).to_pylist()
    assert [(r["row"], r["column"], r["reason"]) for r in refused] == [
        (4, "p_up", "missing_score"),
        (8, "p_up", "score_out_of_range"),
        (12, "p_up", "missing_score"),
        (21, "p_up", "not_finite"),
    ]
    assert refused[1]["detail"] == "1.2 is outside 0..1"


def test_a_column_for_each_class_must_sum_to_1_and_may_be_rounded(tmp_path):
    both = {"model": {"scores": {"UP": "p_up", "DOWN": "p_down"}}}
    served = Served(tmp_path / "project", both)
    training = tmp_path / "project" / "training.parquet"

    def with_down(rows: pa.Table, off: float = 0.0) -> pa.Table:
        down = 1 - rows.column("p_up").to_numpy()
        down[5] += off
        return rows.append_column("p_down", pa.array(np.round(down, 2)))

    pq.write_table(with_down(pq.read_table(training)), training)
    served.add_batch(spoil=with_down)
    served.add_batch(spoil=lambda rows: with_down(rows, off=-0.4 if rows.column("p_up")[5].as_py() < 0.5 else 0.4))
    with open_application(served.project.config) as app:
        good, bad = app.once()
        rows = collected(app, "batch_000")
    assert (good.quarantined, bad.quarantined) == (0, 1)
    assert (rows.column("score:UP").to_numpy() + rows.column("score:DOWN").to_numpy()) == pytest.approx(1.0)
    folder = served.project.folder / "var" / "collected" / "tiny" / "quarantine"
    (refused,) = pq.read_table(next(folder.glob("*.parquet"))).to_pylist()
    assert (refused["row"], refused["column"], refused["reason"]) == (6, "p_down", "scores_do_not_sum")


def test_the_score_of_a_regression_is_its_value(tmp_path):
    changes = {
        "model": {"scores": ["guess"]},
        "schema": {**deployment()["schema"], "label": {"name": "y", "kind": "regression"}},
        "performance": {"metric": "mae"},
    }
    served = Served(tmp_path / "project", changes)
    rng = np.random.default_rng(0)
    for folder, name, first in (("", "training", 10_000), ("incoming", "batch", 0)):
        rows = make_rows(300, rng, start=START, first_id=first)
        a = rows.column("a").to_numpy()
        rows = rows.set_column(rows.column_names.index("y"), "y", pa.array(3 * a)).append_column("guess", pa.array(a))
        pq.write_table(rows, served.project.folder / folder / f"{name}.parquet")
    with open_application(served.project.config) as app:
        (record,) = app.once()
        manifest = app.store.manifest("tiny", 1)
        batch = collected(app, record.batch)
        (served.project.incoming / "no_batch.parquet").write_bytes(b"PAR1 and no more")
        (bad,) = app.once()
    assert manifest is not None
    assert manifest.metrics["mae"] > 1
    assert list(bad.verdicts) == list(record.verdicts), "a value has no classes whose shares could move"
    assert bad.verdict == Verdict.BAD_DATA
    assert batch.column("score:value").equals(batch.column("guess"))


def test_another_model_served_elsewhere_is_another_version_with_a_reference_of_its_own(tmp_path):
    served = Served(tmp_path / "project", SERVED)
    other = scored(make_rows(500, np.random.default_rng(1), start=START, first_id=5_000_000, flipped=True))
    pq.write_table(other, tmp_path / "project" / "other.parquet")
    served.add_batch()
    with open_application(served.project.config) as app:
        app.once()
        with pytest.raises(ConfigError, match=r"served elsewhere; give rows with its scores \(--held-out FILE\) only"):
            app.add_model("tiny", tmp_path, code=None, held_out="other.parquet")
        manifest = app.add_model("tiny", None, code=None, held_out="other.parquet")
        assert (manifest.version, manifest.origin) == (2, "added")
        assert manifest.metrics["accuracy"] < 0.3
        app.promote("tiny", 2, "the other one serves now")
        served.add_batch()
        (record,) = app.once()
    assert record.model_version == 2


def test_a_class_without_a_column_and_a_file_without_scores_are_told(tmp_path):
    served = Served(tmp_path / "project", {"model": {"scores": {"UP": "p_up", "FLAT": "p_flat"}}})
    training = tmp_path / "project" / "training.parquet"
    with open_application(served.project.config) as app, pytest.raises(Exception, match="missing column 'p_flat'"):
        app.once()
    rows = pq.read_table(training)
    pq.write_table(rows.append_column("p_flat", pa.array(1 - rows.column("p_up").to_numpy())), training)
    with open_application(served.project.config) as app, pytest.raises(Exception, match="3 classes: DOWN, FLAT, UP"):
        app.once()


def test_a_deployment_does_not_turn_from_a_model_of_ours_to_one_served_elsewhere(tmp_path):
    served = Served(tmp_path / "project", SERVED)
    with open_application(served.project.config) as app:
        app.once()
    served.project.configure({})
    with open_application(served.project.config) as app, pytest.raises(ConfigError, match="version 1 is served elsewh"):
        app.once()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {}}, "model: give `code`, or `scores` when the model is served elsewhere"),
        ({"model": {"scores": ["p"], "code": "m.py"}}, "model: give `code`, or `scores`"),
        ({"model": {"scores": ["p"], "seed": 3}}, "model: `seed` has no meaning for a model that is served elsewhere"),
        ({"model": {"scores": ["p", "q"]}}, r"model\.scores: say which class each column is of"),
        ({"model": {"scores": ["a"]}}, "column 'a' is a feature and also id, timestamp, control, label or score"),
        ({**SERVED, "retrain": {"mode": "auto"}}, r"retrain\.mode: a model that is served elsewhere is not retrained"),
        ({**SERVED, "predictions": {"correct_prior": True}}, r"predictions\.correct_prior: the scores are served else"),
        (
            {**SERVED, "schema": {**deployment()["schema"], "label": {"name": "y", "kind": "binary"}}},
            r"model\.scores: one column is the positive class's; name it: schema\.label\.positive",
        ),
    ],
)
def test_a_configuration_that_says_too_little_or_too_much_is_refused(tmp_path, changes, said):
    plain = {**deployment(), **changes}
    if "retrain" not in changes:
        del plain["retrain"]
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(plain))
    with pytest.raises(ConfigError, match=said):
        load_deployment(file)


def test_classes_are_named_as_labels_are_compared(tmp_path):
    plain = {**deployment(), "model": {"scores": {0: "p0", True: "p1"}}}
    del plain["retrain"]
    plain["schema"]["label"] = {"name": "y", "kind": "multiclass"}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(plain))
    config = load_deployment(file)
    assert config.schema_value.scores == {"0": "p0", "true": "p1"}
    assert config.retrain.mode == "off"

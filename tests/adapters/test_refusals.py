"""Candidates that must not be promoted, each really trained, in the child: worse ones, slow ones, and leaks.

The model is a logistic regression on `a` and `a_south`, which is `a` for rows of the south and 0 elsewhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from monitor.adapters.trainer import ChildTrainer
from monitor.app.ports import ModelBundle, TrainingJob, TrainingResult
from monitor.app.training import gate_rule
from monitor.config.retraining import GateConfig
from monitor.domain.gate import Finding, GateKind
from monitor.domain.schema import Label, Schema
from monitor.errors import ModelError
from tests.adapters.model_sources import manifest
from tests.adapters.test_trainer import T0
from tests.support.project import TINY_MODEL

SCHEMA = Schema(
    features={"a": "numeric", "a_south": "numeric", "side": "categorical"},
    id="id",
    timestamp="at",
    label=Label("y", "binary", positive="UP"),
    segments=("side",),
)
BATCH = 100
MODELS = Path(__file__).parents[2] / "models"
RULE = gate_rule(GateConfig())


def rows(n: int, seed: int, *, slope: float = 3.0, slope_south: float | None = None) -> pa.Table:
    """The label follows `a` with these slopes, one of them in the south."""
    rng = np.random.default_rng(seed)
    side = rng.choice(["north", "south", "east"], n)
    a = rng.normal(size=n)
    slopes = np.where(side == "south", slope if slope_south is None else slope_south, slope)
    up = rng.random(n) < 1 / (1 + np.exp(-slopes * a))
    return pa.table(
        {
            "a": a,
            "a_south": np.where(side == "south", a, 0.0),
            "side": pa.array(side).dictionary_encode(),
            "y": np.where(up, "UP", "DOWN"),
        }
    )


def snapshot(file: Path, *parts: pa.Table, **columns) -> Path:
    """The parts one after another, an hour between rows, in batches of a hundred; `columns` replaces some."""
    table = pa.concat_tables([part.unify_dictionaries() for part in parts]).unify_dictionaries()
    n = table.num_rows
    more = {
        "id": [f"{file.stem}-{i}" for i in range(n)],
        "at": pa.array([T0 + timedelta(hours=i) for i in range(n)], pa.timestamp("us", "UTC")),
        "_origin": [f"b{i // BATCH}" for i in range(n)],
        "_fitted": [False] * n,
        "_anchor": [False] * n,
        **columns,
    }
    for name, values in more.items():
        table = table.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
    pq.write_table(table, file)
    return file


def job(folder: Path, file: Path, *, held_out: int = 600, **changes) -> TrainingJob:
    code = folder / "model.py"
    if not code.exists():
        code.write_text(TINY_MODEL.read_text())
    base = TrainingJob(
        staging=folder / "staging" / "version",
        snapshot=file,
        code=code,
        params={},
        schema=SCHEMA.to_dict(),
        seed=1,
        held_out=held_out,
        window_rows=600,
        candidates=["all"],
        record={},
        gate=RULE,
        metric="accuracy",
        timeout=timedelta(minutes=2),
    )
    return dataclasses.replace(base, **changes)


def train(made: TrainingJob) -> TrainingResult:
    return ChildTrainer().train(made, lambda share, word: None)


def champion_of(folder: Path, *parts: pa.Table) -> ModelBundle:
    """A first version, trained on these rows, by the model code that lies in `folder` or the one of `job`."""
    folder.mkdir(exist_ok=True)
    made = job(folder, snapshot(folder / "first.parquet", *parts), held_out=100)
    result = train(made)
    assert result.outcome == "promote" and result.checks == ()
    files = {
        path.relative_to(made.staging).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made.staging.rglob("*")
        if path.is_file()
    }
    return ModelBundle(folder=made.staging, manifest=manifest(classes=result.classes, files=files))


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> ModelBundle:
    """A champion that knows the relation as it is."""
    return champion_of(tmp_path_factory.mktemp("good") / "champion", rows(800, 1))


def failed(result: TrainingResult) -> list[str]:
    return [check.name for check in result.checks if check.finding is Finding.FAILED]


def test_a_candidate_like_the_champion_is_promoted_and_every_check_has_its_numbers(tmp_path, good):
    result = train(job(tmp_path, snapshot(tmp_path / "rows.parquet", rows(1600, 2)), champion=good))
    assert result.outcome == "promote", result.reason
    names = [check.name for check in result.checks]
    assert names[0] == "loss" and names[-1] == "leakage"
    assert {"segment side=south", "metric accuracy", "calibration error", "latency", "size"} < set(names)
    for check in result.checks:
        assert check.finding is Finding.PASSED and check.detail
        assert check.candidate is not None and check.limit is not None
        assert check.rows is not None or check.name == "size"
    low, high = result.intervals["all"]
    assert low < result.metrics["all"] < high


def test_a_candidate_trained_on_shuffled_labels_is_refused(tmp_path, good):
    known = rows(1000, 3)
    shuffled = known.set_column(3, "y", known.column("y").take(np.random.default_rng(0).permutation(1000)))
    made = job(tmp_path, snapshot(tmp_path / "rows.parquet", shuffled, rows(600, 4)), champion=good)
    result = train(made)
    assert result.outcome == "reject"
    assert failed(result)[0] == "loss" and "metric accuracy" in failed(result)
    assert not made.staging.exists()


def test_a_candidate_trained_on_the_wrong_window_is_refused_and_the_right_one_is_not(tmp_path, good):
    """For a while the relation was the opposite one, and the newest window before the held-out rows is just that."""
    file = snapshot(tmp_path / "rows.parquet", rows(1200, 5), rows(300, 6, slope=-3.0), rows(600, 7))
    result = train(job(tmp_path, file, champion=good, candidates=["recent_half"]))
    assert (result.outcome, failed(result)[0]) == ("reject", "loss")
    assert result.facts["recent_half"] == {"rows": 300}
    both = train(job(tmp_path, file, champion=good, candidates=["recent_half", "all"], window_rows=600))
    assert both.chosen == "all"


def test_better_on_average_and_worse_in_one_segment_is_refused_unless_told_otherwise(tmp_path):
    """The champion knows the south and little else; the candidate's rows of the south have labels by chance."""
    champion = champion_of(tmp_path / "champion", rows(1500, 8, slope=0.3, slope_south=3.0))
    file = snapshot(tmp_path / "rows.parquet", rows(1500, 9, slope_south=0.0), rows(600, 10))
    result = train(job(tmp_path, file, champion=champion, metric="log_loss"))
    loss = result.checks[0]
    assert loss.name == "loss" and loss.finding is Finding.PASSED and loss.candidate < loss.champion
    assert (result.outcome, failed(result)) == ("reject", ["segment side=south"])
    assert "side=south" in result.reason and "worse by more than 2%" in result.reason
    blind = dataclasses.replace(RULE, segments=False)
    assert train(job(tmp_path, file, champion=champion, metric="log_loss", gate=blind)).outcome == "promote"


def test_a_candidate_that_is_slower_than_allowed_is_refused(tmp_path, good):
    slow = TINY_MODEL.read_text() + (
        "\nimport time\n\nclass Slow(Model):\n    def predict(self, frame):\n        time.sleep(0.01)\n"
        "        return super().predict(frame)\n\nModel = Slow\n"
    )
    (tmp_path / "model.py").write_text(slow)
    file = snapshot(tmp_path / "rows.parquet", rows(1600, 11))
    result = train(job(tmp_path, file, champion=good))
    assert (result.outcome, failed(result)) == ("reject", ["latency"])
    assert result.checks[[c.name for c in result.checks].index("latency")].candidate > 0.01
    unlimited = dataclasses.replace(RULE, max_latency_ratio=None)
    assert train(job(tmp_path, file, champion=good, gate=unlimited)).outcome == "promote"


def test_a_candidate_that_is_much_larger_is_refused(tmp_path, good):
    large = TINY_MODEL.read_text() + (
        "\nclass Large(Model):\n    def save(self, folder):\n        super().save(folder)\n"
        "        (folder / 'ballast').write_bytes(bytes(100_000))\n\nModel = Large\n"
    )
    (tmp_path / "model.py").write_text(large)
    result = train(job(tmp_path, snapshot(tmp_path / "rows.parquet", rows(1600, 12)), champion=good))
    assert (result.outcome, failed(result)) == ("reject", ["size"])


def test_what_it_costs_is_not_asked_of_a_candidate_that_knows_a_class_more(tmp_path):
    """A champion that was fitted while there was one class only is small and fast, and useless."""
    one_sided = rows(800, 1)
    one_sided = one_sided.filter(pc.equal(one_sided.column("y"), "UP"))
    (tmp_path / "champion").mkdir()
    for folder in (tmp_path, tmp_path / "champion"):
        shutil.copy(MODELS / "gradient_boosting.py", folder / "model.py")
    champion = champion_of(tmp_path / "champion", one_sided)
    made = job(tmp_path, snapshot(tmp_path / "rows.parquet", rows(1600, 12)), champion=champion)
    stingy = dataclasses.replace(RULE, max_latency_ratio=1e-9, max_size_ratio=1e-9)
    result = train(dataclasses.replace(made, gate=stingy))
    assert (result.outcome, champion.manifest.classes, result.classes) == ("promote", ("UP",), ("DOWN", "UP"))
    assert not {"latency", "size"} & {check.name for check in result.checks}


def test_what_the_anchor_holds_is_never_trained_on_and_must_not_be_forgotten(tmp_path, good):
    """The labels of all batches are the opposite of the truth, the held-out ones, too: no newest row tells."""
    parts = rows(200, 13), rows(1600, 14, slope=-3.0)
    blind = snapshot(tmp_path / "blind.parquet", *parts)
    assert train(job(tmp_path, blind, champion=good)).outcome == "promote"
    anchored = snapshot(tmp_path / "rows.parquet", *parts, _anchor=[i < 200 for i in range(1800)])
    result = train(job(tmp_path, anchored, champion=good))
    assert (result.outcome, failed(result)) == ("reject", ["anchor"])
    assert result.facts["all"] == {"rows": 1000}  # 1,800 without 200 of the anchor and 600 held out
    (anchor,) = (check for check in result.checks if check.name == "anchor")
    assert anchor.rows == 200 and anchor.candidate > 1.1 * anchor.champion == pytest.approx(anchor.limit)


def test_the_gate_switched_off_measures_and_refuses_nothing(tmp_path, good):
    file = snapshot(tmp_path / "rows.parquet", rows(1000, 15, slope=-3.0), rows(600, 16))
    result = train(job(tmp_path, file, champion=good, gate=dataclasses.replace(RULE, kind=GateKind.OFF)))
    assert result.outcome == "promote"
    assert "loss" in failed(result)


def test_strict_keeps_the_champion_until_batches_have_proven_the_candidate_better(tmp_path, good):
    strict = dataclasses.replace(RULE, kind=GateKind.STRICT, margin=0.0)
    equal = snapshot(tmp_path / "rows.parquet", rows(2200, 17))
    result = train(job(tmp_path, equal, champion=good, held_out=1200, gate=strict))
    assert (result.outcome, result.checks[0].name) == ("keep", "proof")
    changed = snapshot(tmp_path / "changed.parquet", rows(2400, 18, slope=-3.0))
    result = train(job(tmp_path, changed, champion=good, held_out=1200, gate=strict))
    assert result.outcome == "promote", result.reason
    assert "after 12 batches" in result.reason


def test_strict_counts_only_rows_later_than_all_that_the_champion_knows(tmp_path, good):
    strict = dataclasses.replace(RULE, kind=GateKind.STRICT, margin=0.0)
    fitted = [1700 <= i < 1800 for i in range(2400)]  # the champion's last batch lies among the held-out ones
    file = snapshot(tmp_path / "rows.parquet", rows(2400, 18, slope=-3.0), _fitted=fitted)
    result = train(job(tmp_path, file, champion=good, held_out=1200, gate=strict))
    assert result.checks[0].rows == 600
    assert result.outcome == "keep"
    plain = train(job(tmp_path, file, champion=good, held_out=1200))
    assert plain.checks[0].rows == 1100


def test_a_held_out_row_that_was_trained_on_ends_the_attempt(tmp_path, good):
    ids = [f"r{i}" for i in range(1600)]
    ids[1500] = ids[3]
    file = snapshot(tmp_path / "rows.parquet", rows(1600, 19), id=ids)
    made = job(tmp_path, file, champion=good)
    with pytest.raises(
        ModelError, match=r"1 of 600 held-out rows were also trained on: id 'r3' is in batch b0 and in "
    ):
        train(made)
    assert not made.staging.exists()


def test_held_out_rows_that_are_older_than_training_rows_end_the_attempt(tmp_path, good):
    hours = list(range(1600))
    hours[500] = 1560
    at = pa.array([T0 + timedelta(hours=h) for h in hours], pa.timestamp("us", "UTC"))
    file = snapshot(tmp_path / "rows.parquet", rows(1600, 20), at=at)
    with pytest.raises(
        ModelError, match=r"93% of the held-out rows are older than .* row 501 of batch b5, 2024-03-06T00"
    ):
        train(job(tmp_path, file, champion=good))
    hours[500], hours[999] = 500, 1030  # deliveries overlap a little
    at = pa.array([T0 + timedelta(hours=h) for h in hours], pa.timestamp("us", "UTC"))
    result = train(job(tmp_path, snapshot(tmp_path / "few.parquet", rows(1600, 20), at=at), champion=good))
    assert result.checks[-1].name == "leakage"
    assert result.checks[-1].candidate == pytest.approx(30 / 600)


def test_a_candidate_without_enough_rows_of_a_class_is_left_out(tmp_path, good):
    rare = rows(1000, 21)
    few_up = rare.filter(pc.or_(pc.equal(rare["y"], "DOWN"), pa.array(np.arange(1000) < 100)))
    file = snapshot(tmp_path / "rows.parquet", few_up, rows(600, 22))
    made = job(tmp_path, file, champion=good, candidates=["all", "recent_half"], min_class_rows=20)
    result = train(dataclasses.replace(made, gate=dataclasses.replace(RULE, kind=GateKind.OFF)))
    assert result.refused == {"recent_half": "only 0 rows of class 'UP', retrain.min_labels_per_class is 20"}
    assert set(result.losses) == {"all", "champion"}
    none = dataclasses.replace(made, min_class_rows=400)
    with pytest.raises(ModelError, match=r"no candidate could be trained: all: only \d+ rows of class 'UP'"):
        train(none)

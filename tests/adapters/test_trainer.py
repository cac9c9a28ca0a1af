"""Training with real children: what is compared, chosen, built and refused, and what every failure leaves behind.

The model under `tiny` predicts the class shares, or the mean, of the rows it was fitted on: what a selection of rows
must lead to can be worked out by hand.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.adapters.trainer import ChildTrainer
from monitor.app.ports import ModelBundle, TrainingJob, TrainingResult
from monitor.app.training import gate_rule
from monitor.config.retraining import GateConfig
from monitor.domain.gate import GateKind
from monitor.domain.model_reference import ModelReference
from monitor.domain.schema import Label, Schema
from monitor.errors import ArtefactError, ModelError
from tests.adapters.model_sources import tiny, write_bundle
from tests.adapters.test_scoring_worker import assert_ends

RULE = gate_rule(GateConfig())
T0 = datetime(2024, 1, 1, tzinfo=UTC)
FEATURES = {"price": "numeric", "day": "categorical"}
REGRESSION = Schema(features=FEATURES, id="id", timestamp="at", label=Label("y", "regression"))
BINARY = Schema(features=FEATURES, id="id", timestamp="at", label=Label("y", "binary", positive="buy"))
MULTICLASS = Schema(features=FEATURES, id="id", timestamp="at", label=Label("y", "multiclass"))


def snapshot(file: Path, labels: list, *, fitted: int = 0, origins: list[str] | None = None) -> Path:
    """One row per label, an hour apart; the oldest `fitted` rows are marked as known to the champion."""
    n = len(labels)
    table = pa.table(
        {
            "id": [f"r{i}" for i in range(n)],
            "at": pa.array([T0 + timedelta(hours=i) for i in range(n)], pa.timestamp("us", "UTC")),
            "price": np.linspace(0, 1, n),
            "day": pa.array(["mo", "tu"] * n, pa.string()).slice(0, n).dictionary_encode(),
            "y": labels,
            "_origin": origins or ["training"] * n,
            "_fitted": [i < fitted for i in range(n)],
        }
    )
    pq.write_table(table, file)
    return file


def job(
    tmp_path: Path, labels: list, schema: Schema, *, source: str = tiny(), fitted: int = 0, **changes
) -> TrainingJob:
    code = tmp_path / "model.py"
    code.write_text(source)
    base = TrainingJob(
        staging=tmp_path / "staging" / "version",
        snapshot=snapshot(tmp_path / "rows.parquet", labels, fitted=fitted),
        code=code,
        params={},
        schema=schema.to_dict(),
        seed=7,
        held_out=40,
        window_rows=60,
        candidates=["all", "recent_1x"],
        record={},
        gate=RULE,
        metric="mae" if schema is REGRESSION else "accuracy",
        timeout=timedelta(seconds=30),
    )
    return dataclasses.replace(base, **changes)


def train(job: TrainingJob, progress=lambda share, word: None) -> TrainingResult:
    return ChildTrainer().train(job, progress)


def champion(tmp_path: Path, answer: str, source: str = tiny(), classes: tuple[str, ...] = ()) -> ModelBundle:
    return write_bundle(tmp_path / "champion", source, classes=classes, answer=answer)


def answer(job: TrainingJob):
    return json.loads((job.staging / "weights" / "answer.json").read_text())


SHIFTED = [0.0] * 200 + [10.0] * 100  # the last hundred rows have another level


def test_the_first_model_is_refitted_with_the_held_out_rows_and_comes_with_its_reference(tmp_path):
    first = job(tmp_path, [0.0] * 160 + [5.0] * 40, REGRESSION, candidates=["all"])
    result = train(first)

    assert (result.outcome, result.chosen, result.classes) == ("promote", "all", ())
    assert answer(first) == pytest.approx(1.0)  # 40 · 5 / 200: with the held-out rows
    assert result.losses == {"all": pytest.approx(5.0)}  # before them: 0 everywhere, 5 was true
    assert result.metrics == {"all": pytest.approx(5.0)}
    assert (result.rows, result.held_out) == (200, 40)
    assert (first.staging / "code.py").read_text() == first.code.read_text()
    reference = ModelReference.from_bytes((first.staging / "reference.safetensors").read_bytes())
    assert reference.loss.mean == pytest.approx(5.0)
    assert reference.held_out_rows == 40
    assert reference.inputs.rows == 200


def test_the_rows_of_the_final_fit_are_accounted_for(tmp_path):
    made = job(tmp_path, SHIFTED, REGRESSION, candidates=["recent_1x"])
    snapshot(made.snapshot, SHIFTED, origins=["training"] * 220 + ["day-1"] * 50 + ["day-2"] * 30)
    extra = train(made).extra
    assert extra["origins"] == {"day-1": 30, "day-2": 30}
    assert (extra["first"], extra["last"]) == (T0 + timedelta(hours=240), T0 + timedelta(hours=299))
    assert extra["peak_memory_bytes"] > 2**20


def test_the_candidate_with_the_smallest_loss_is_refitted_on_its_own_newest_rows(tmp_path):
    made = job(tmp_path, SHIFTED, REGRESSION)
    result = train(made)
    assert result.chosen == "recent_1x"
    assert result.losses["recent_1x"] == pytest.approx(0.0)  # rows 200..259 are all 10
    assert result.losses["all"] == pytest.approx(10 - 600 / 260)
    assert (answer(made), result.rows) == (10.0, 60)


def test_an_earlier_record_can_outweigh_this_attempt(tmp_path):
    result = train(job(tmp_path, SHIFTED, REGRESSION, record={"all": 0.0, "recent_1x": 100.0}))
    assert result.chosen == "all"
    assert result.record == {"all": pytest.approx(10 - 600 / 260), "recent_1x": pytest.approx(60.0)}


def test_two_selections_of_the_same_rows_are_fitted_once(tmp_path):
    count = f"with open({str(tmp_path / 'fits')!r}, 'a') as file: file.write(f'{{rows}} ')"
    made = job(tmp_path, SHIFTED, REGRESSION, source=tiny(fit=count), window_rows=1000)
    result = train(made)
    assert (tmp_path / "fits").read_text() == "260 300 "
    assert result.losses["all"] == result.losses["recent_1x"]


def test_the_champion_is_compared_on_the_same_rows(tmp_path):
    made = job(tmp_path, [10.0] * 100, REGRESSION, candidates=["all"], champion=champion(tmp_path, "4.0"))
    result = train(made)
    assert (result.outcome, dict(result.losses)) == ("promote", {"all": 0.0, "champion": 6.0})
    assert result.metrics["champion"] == 6.0


def test_a_worse_candidate_is_rejected_and_leaves_nothing(tmp_path):
    made = job(tmp_path, SHIFTED, REGRESSION, candidates=["all"], champion=champion(tmp_path, "10.0"))
    result = train(made)
    assert result.outcome == "reject"
    assert "worse by more than 2%" in result.reason
    assert not made.staging.exists()
    assert result.rows == 260


def test_rows_the_champion_was_fitted_on_do_not_count_for_it(tmp_path):
    labels = [0.0] * 100 + [10.0] * 65 + [0.0] * 35  # of the 40 held out, the newest 35 are new to the champion
    made = job(tmp_path, labels, REGRESSION, candidates=["all"], fitted=165, champion=champion(tmp_path, "10.0"))
    assert "on 35 rows" in train(made).reason
    known = dataclasses.replace(made, snapshot=snapshot(tmp_path / "known.parquet", labels, fitted=171))
    result = train(known)
    assert result.outcome == "keep"
    assert "only 29 rows" in result.reason


def test_the_positive_class_comes_last(tmp_path):
    assert train(job(tmp_path, ["buy", "leave", "leave", "buy"] * 40, BINARY)).classes == ("leave", "buy")


@pytest.mark.parametrize("metric", ["f1", "roc_auc", "log_loss"])
def test_newest_rows_without_the_positive_class_train_a_model_that_can_still_name_it(tmp_path, metric):
    labels = ["buy", "leave"] * 60 + ["leave"] * 80 + ["buy"] * 2 + ["leave"] * 38
    made = job(tmp_path, labels, BINARY, candidates=["recent_1x"], metric=metric)
    result = train(made)
    assert result.classes == ("leave", "buy")
    if metric == "f1":
        assert result.metrics["recent_1x"] == 0.0  # of "buy", which it never says; that of "leave" is nearly 1
    assert answer(made) == pytest.approx([58 / 60, 2 / 60])


def test_a_first_model_can_be_trained_before_there_is_any_positive_row(tmp_path):
    made = job(tmp_path, ["leave"] * 100, BINARY, candidates=["all"], metric="roc_auc")
    result = train(made)
    assert (result.classes, answer(made)) == (("leave", "buy"), [1.0, 0.0])
    assert np.isnan(result.metrics["all"])  # nothing to rank
    assert ModelReference.from_bytes((made.staging / "reference.safetensors").read_bytes()).classes == ("leave", "buy")


def test_a_positive_class_that_is_not_among_two_others_is_a_mistake(tmp_path):
    with pytest.raises(ModelError, match="column 'y': no row has the positive class 'buy', only Buy, leave"):
        train(job(tmp_path, ["Buy", "leave"] * 50, BINARY))


def test_a_class_that_only_the_held_out_rows_have_is_known_after_the_refit(tmp_path):
    made = job(tmp_path, ["b"] * 50 + ["a"] * 50 + ["c"] * 40, MULTICLASS, candidates=["all"])
    result = train(made)
    assert result.classes == ("a", "b", "c")
    assert result.losses["all"] == pytest.approx(-np.log(1e-7))  # the model before the refit could not say "c"
    assert answer(made) == pytest.approx([50 / 140, 50 / 140, 40 / 140])
    reference = ModelReference.from_bytes((made.staging / "reference.safetensors").read_bytes())
    assert reference.classes == ("a", "b", "c")
    assert reference.confusion[:, 2].sum() == pytest.approx(1.0)  # every held-out label was "c"


def test_a_class_that_the_refit_no_longer_has_is_left_out_of_the_reference(tmp_path):
    labels = ["a"] * 30 + ["b", "c"] * 50
    made = job(tmp_path, labels, MULTICLASS, candidates=["recent_1x"], window_rows=80)
    result = train(made)
    assert result.classes == ("b", "c")
    assert ModelReference.from_bytes((made.staging / "reference.safetensors").read_bytes()).classes == ("b", "c")


def test_the_champion_is_offered_as_a_start_only_to_the_code_it_came_from(tmp_path):
    source = tiny(fit="if init is not None: return cls(init.answer)")
    labels = [10.0] * 100
    same = job(tmp_path, labels, REGRESSION, source=source, candidates=["all"])
    same = dataclasses.replace(
        same, champion=champion(tmp_path, "9.9", source), gate=dataclasses.replace(RULE, kind=GateKind.OFF)
    )
    train(same)
    assert answer(same) == 9.9
    (tmp_path / "other").mkdir()
    other = champion(tmp_path / "other", "9.9", tiny())
    train(dataclasses.replace(same, champion=other, staging=tmp_path / "second"))
    assert json.loads((tmp_path / "second" / "weights" / "answer.json").read_text()) == 10.0


def test_the_seed_decides_what_is_drawn(tmp_path):
    made = job(tmp_path, [0.0] * 100, REGRESSION, source=tiny(fit="return cls(float(rng.normal()))"))
    drawn = []
    for i, seed in enumerate((1, 1, 2)):
        each = dataclasses.replace(made, seed=seed, staging=tmp_path / f"v{i}")
        train(each)
        drawn.append(answer(each))
    assert drawn[0] == drawn[1] != drawn[2]


def test_progress_rises_and_says_what_is_done(tmp_path):
    heard: list[tuple[float, str]] = []
    slow = "for i in range(4): progress(i / 4, 'step'); time.sleep(0.11)"
    train(job(tmp_path, SHIFTED, REGRESSION, source=tiny(fit=slow)), lambda *each: heard.append(each))
    shares = [share for share, _ in heard]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
    words = " ".join(word for _, word in heard)
    assert "candidate all: step" in words and "candidate recent_1x" in words and "refit with the held-out rows" in words


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (tiny(fit="raise ValueError('no good')"), r"model\.py, line \d+, in fit: ValueError: no good"),
        (tiny(fit="os.kill(os.getpid(), signal.SIGKILL)"), "killed by SIGKILL"),
        (tiny(predict="scores[3] = np.nan"), "row 4 is not finite"),
        (tiny().replace("write_text(json.dumps(self.answer))", "nothing()"), r"in save: AttributeError"),
        ("Model = 3", "defines no class `Model`"),
    ],
    ids=["raises", "killed", "nan", "save", "no model"],
)
def test_a_failure_is_a_model_error_and_leaves_nothing(tmp_path, source, message):
    made = job(tmp_path, SHIFTED, REGRESSION, source=source)
    with pytest.raises(ModelError, match=message):
        train(made)
    assert not made.staging.exists()


def test_a_fit_that_takes_too_long_is_ended_and_the_error_says_where_it_was(tmp_path):
    made = job(tmp_path, SHIFTED, REGRESSION, source=tiny(fit="time.sleep(600)"), timeout=timedelta(seconds=10))
    with pytest.raises(ModelError, match=r"retrain\.timeout of 10 s \(peak memory \d+ MiB\)[\s\S]*line \d+ in fit"):
        train(made)


def test_a_fit_that_grows_too_large_is_ended(tmp_path):
    source = tiny(fit="block = np.ones(2**27)\ntime.sleep(600)")
    made = job(tmp_path, SHIFTED, REGRESSION, source=source, memory=600 * 2**20)
    with pytest.raises(ModelError, match=r"used \d+ MiB of memory, more than retrain\.memory of 600 MiB"):
        train(made)


def test_rows_that_cannot_be_trained_on_are_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="need at least 42 rows for training and the held-out block, have 41"):
        train(job(tmp_path, [0.0] * 41, REGRESSION))


def test_a_champion_with_a_changed_byte_is_not_compared_with(tmp_path):
    bundle = champion(tmp_path, "4.0")
    (bundle.folder / "weights" / "answer.json").write_text("5.0")
    with pytest.raises(ArtefactError, match=r"answer\.json: was changed"):
        train(job(tmp_path, SHIFTED, REGRESSION, champion=bundle))


def test_scoring_goes_first(tmp_path):
    mark = tmp_path / "nice"
    train(job(tmp_path, SHIFTED, REGRESSION, source=tiny(fit=f"Path({str(mark)!r}).write_text(str(os.nice(0)))")))
    assert int(mark.read_text()) >= os.nice(0) + 5


def test_a_callback_that_raises_ends_the_child(tmp_path):
    def stop(share, word):
        raise KeyboardInterrupt

    before = set(psutil.Process().children())
    made = job(tmp_path, SHIFTED, REGRESSION, source=tiny(fit="time.sleep(600)"))
    with pytest.raises(KeyboardInterrupt):
        train(made, stop)
    assert set(psutil.Process().children()) == before
    assert not made.staging.exists()


def test_the_child_ends_when_the_parent_is_killed(tmp_path):
    mark = tmp_path / "pid"
    source = tiny(fit=f"Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(600)")
    parent_source = textwrap.dedent(
        f"""
        from pathlib import Path
        from tests.adapters import test_trainer as here

        here.train(here.job(Path({str(tmp_path)!r}), here.SHIFTED, here.REGRESSION, source={source!r}))
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", parent_source], cwd=Path(__file__).parents[2])
    try:
        while not (mark.exists() and mark.read_text()):
            assert parent.poll() is None
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert_ends(int(mark.read_text()))

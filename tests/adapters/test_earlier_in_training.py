"""Former champions beside the candidates of an attempt, in real children: when one comes back, and as what."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from monitor.app.ports import ModelBundle
from monitor.domain.model_reference import ModelReference
from monitor.domain.version import Lineage
from tests.adapters.model_sources import tiny, write_bundle
from tests.adapters.test_trainer import MULTICLASS, REGRESSION, SHIFTED, answer, champion, job, snapshot, train

BACK = [*SHIFTED, *[0.0] * 40]  # the newest forty rows, which are held out, are on the first level again
ORIGINS = [*["training"] * 150, *["monday"] * 50, *["tuesday"] * 100, *["wednesday"] * 40]


def earlier(
    folder: Path, version: int, says: str, *, source: str = tiny(), fitted: tuple[str, ...] = ("training",), classes=()
) -> ModelBundle:
    bundle = write_bundle(folder / f"earlier-{version}", source, classes=classes, answer=says)
    lineage = Lineage(rows=150, batches=dict.fromkeys(fitted, 150))
    return dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, version=version, lineage=lineage))


def attempt(folder: Path, *versions: ModelBundle, schema=REGRESSION, labels=BACK, **changes):
    made = job(folder, labels, schema, champion=champion(folder, "10.0"), earlier=versions, window_rows=80)
    made = dataclasses.replace(made, **changes)
    snapshot(made.snapshot, labels, origins=ORIGINS)
    return made


def test_one_that_is_clearly_better_than_every_candidate_comes_back_as_it_was(tmp_path):
    version = earlier(tmp_path, 2, "0.0", source=f"{tiny()}\n# as it was then\n")
    made = attempt(tmp_path, earlier(tmp_path, 3, "1.5"), version)
    result = train(made)

    assert (result.outcome, result.chosen, result.returning) == ("promote", "version 2", 2)
    assert answer(made) == 0.0
    for name in ("code.py", "weights/answer.json"):
        assert (made.staging / name).read_bytes() == (version.folder / name).read_bytes()
    assert result.losses["version 2"] == 0.0 < min(result.losses["all"], result.losses["recent_1x"])
    assert "version 3" not in result.losses  # only the best of them
    assert (result.rows, result.held_out, dict(result.extra["chosen_on"])) == (150, 40, {"wednesday": 40})


def test_its_reference_is_what_it_was_fitted_on_and_what_it_was_chosen_on(tmp_path):
    made = attempt(tmp_path, earlier(tmp_path, 2, "0.5", fitted=("training", "monday")))
    assert train(made).returning == 2
    reference = ModelReference.from_bytes((made.staging / "reference.safetensors").read_bytes())
    assert reference.inputs.rows == 150 + 50 + 40
    assert reference.held_out_rows == 40
    assert reference.loss.mean == pytest.approx(0.5)  # on the rows of now


@pytest.mark.parametrize(("says", "returns"), [("-9.4", True), ("-9.6", False)])
def test_one_that_is_a_little_better_does_not(tmp_path, says, returns):
    labels = [*[10.0] * 300, *[0.0] * 40]  # every candidate says 10 and is wrong by 10
    result = train(attempt(tmp_path, earlier(tmp_path, 2, says), labels=labels))
    assert result.losses["version 2"] == pytest.approx(abs(float(says)))
    assert (result.returning == 2, result.chosen == "version 2") == (returns, returns)


def test_one_that_was_fitted_on_a_held_out_batch_is_not_asked(tmp_path):
    result = train(attempt(tmp_path, earlier(tmp_path, 2, "0.0", fitted=("monday", "wednesday"))))
    assert result.returning is None
    assert "version 2" not in {**result.losses, **result.refused}


def test_one_that_does_not_know_every_class_is_not_asked(tmp_path):
    labels = [*["a", "b", "c"] * 100, *["a"] * 40]
    made = attempt(
        tmp_path,
        earlier(tmp_path, 2, "[1.0, 0.0]", classes=("a", "b")),
        earlier(tmp_path, 3, "[0.9, 0.05, 0.05]", classes=("a", "b", "c")),
        schema=MULTICLASS,
        labels=labels,
        metric="accuracy",
        champion=write_bundle(tmp_path / "now", tiny(), classes=("a", "b", "c"), answer="[0.3, 0.4, 0.3]"),
    )
    result = train(made)
    assert result.returning == 3
    assert result.classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (tiny(load="raise ValueError('other times')"), r"code\.py, line \d+, in load: ValueError: other times"),
        (tiny(predict="return scores[:3]"), r"predict returned shape \(3,\), expected \(40,\)"),
        ("Model = 3", "defines no class `Model`"),
    ],
)
def test_one_that_fails_is_told_and_keeps_nobody_else_from_being_compared(tmp_path, source, why):
    result = train(attempt(tmp_path, earlier(tmp_path, 2, "0.0", source=source), earlier(tmp_path, 3, "0.1")))
    assert result.returning == 3
    assert set(result.refused) == {"version 2"}
    assert re.search(why, result.refused["version 2"])


def test_one_that_is_worse_than_the_champion_is_rejected_and_leaves_nothing(tmp_path):
    made = attempt(tmp_path, earlier(tmp_path, 2, "1.0"))
    made = dataclasses.replace(made, champion=write_bundle(tmp_path / "now", tiny(), classes=(), answer="0.0"))
    result = train(made)
    assert (result.outcome, result.returning) == ("reject", 2)
    assert not made.staging.exists()


def test_the_record_of_the_candidates_goes_on_without_it(tmp_path):
    with_it = train(attempt(tmp_path, earlier(tmp_path, 2, "0.0")))
    (tmp_path / "alone").mkdir()
    assert with_it.record == train(attempt(tmp_path / "alone")).record
    assert np.isfinite(list(with_it.record.values())).all()

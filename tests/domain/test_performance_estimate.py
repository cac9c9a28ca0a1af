"""What is estimated without labels, on a relation that is known, and what is assumed for it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import special

from monitor.domain.held_out import HeldOut
from monitor.domain.performance_estimate import Assumption, ClassEstimator, Way, estimator_of
from monitor.domain.schema import Schema
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.performance import metric

SCHEMA = Schema(features={"a": "numeric", "b": "numeric", "c": "categorical"})
PRIOR = 0.4
METRICS = ("accuracy", "roc_auc", "average_precision", "f1", "log_loss", "brier")


def drawn(rng: np.random.Generator, rows: int, *, share: float = PRIOR, moved: float = 0.0) -> tuple[dict, np.ndarray]:
    """Two normal columns that move with the class, a third that says nothing; `moved` inputs keep P(label | inputs)."""
    label = rng.random(rows) < share
    a, b = rng.normal(label - 0.5, 1.0) + moved, rng.normal(0.7 * label, 1.0)
    if moved:
        label = rng.random(rows) < truth(a, b)
    return {"a": a, "b": b, "c": rng.choice(["u", "v"], rows)}, label.astype(np.int64)


def truth(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return special.expit(a + 0.7 * b - 0.245 + special.logit(PRIOR))


def scored(table: dict) -> np.ndarray:
    """By a model that hardly looks at `a`, and is too sure of itself."""
    p = special.expit(2.0 * (0.3 * table["a"] + 0.9 * table["b"] - 0.5))
    return np.column_stack([1.0 - p, p])


def fitted(
    rng: np.random.Generator, rows: int = 3000, calibration: str = "bias_corrected", way: Way = "automatic"
) -> ClassEstimator:
    table, label = drawn(rng, rows)
    kept = HeldOut.fit(table, SCHEMA, scored(table), label)
    return ClassEstimator.of(kept, LabelShift.fit(kept.scores, kept.target), calibration, way)


def assumed(estimator: ClassEstimator, table: dict, rng: np.random.Generator):
    scores = scored(table)
    shares = estimator.label_shift.estimate(scores)
    return estimator.assume(table, scores, scores, shares, rng)


def tried(times: int, names=("accuracy",), calibration: str = "bias_corrected", **how: float):
    """How often each assumption was taken, which realised values were in the interval, and the mean errors."""
    rng = np.random.default_rng(11)
    taken, inside, errors = Counter(), Counter(), {name: [] for name in names}
    for _ in range(times):
        estimator = fitted(rng, calibration=calibration)
        table, label = drawn(rng, 1000, **how)
        seen = assumed(estimator, table, rng)
        taken[seen.assumption] += 1
        for name in names:
            found, realised = seen.estimate(name), metric(name, scored(table), label)
            inside[name] += found.low <= realised <= found.high
            errors[name].append(found.value - realised)
    return taken, inside, {name: float(np.mean(np.abs(each))) for name, each in errors.items()}


def test_without_a_shift_every_interval_holds():
    taken, inside, _ = tried(60, METRICS)
    assert taken[Assumption.NO_SHIFT] >= 46  # 90% of 60 would be 54; fewer than 46 has probability < 0.001
    assert all(inside[name] >= 50 for name in METRICS), inside  # 95%; fewer than 50 has probability < 0.001


@pytest.mark.parametrize("calibration", ["bias_corrected", "isotonic"])
def test_inputs_that_moved_are_found_and_allowed_for(calibration: str):
    taken, inside, error = tried(30, calibration=calibration, moved=0.8)
    assert taken[Assumption.COVARIATE_SHIFT] >= 28
    assert inside["accuracy"] >= 23
    assert error["accuracy"] < 0.02


def test_class_shares_that_moved_are_found_and_allowed_for():
    taken, inside, error = tried(40, METRICS, share=0.75)
    assert taken[Assumption.LABEL_SHIFT] >= 33  # the two checks at 5% together
    assert inside["accuracy"] >= 32
    assert inside["roc_auc"] >= 32
    assert error["accuracy"] < 0.02


def test_a_changed_relation_is_never_claimed():
    """Nothing in the inputs or scores has changed: the estimate stays where it was, and says so."""
    rng = np.random.default_rng(5)
    table, _ = drawn(rng, 1000)
    seen = assumed(fitted(rng), table, rng)
    assert seen.assumption is Assumption.NO_SHIFT
    assert not any("concept" in assumption for assumption in Assumption)


def test_undecided_covers_both():
    rng = np.random.default_rng(6)
    estimator = fitted(rng)
    table, _ = drawn(rng, 1000, share=0.6)
    scores = scored(table)
    shares = estimator.label_shift.estimate(scores)
    ways = (estimator.reweighted(table, rng), estimator.corrected(shares))
    both, one, other = (
        type(assumed(estimator, table, rng))(Assumption.UNDECIDED, each, scores, scores).estimate("accuracy")
        for each in (ways, ways[:1], ways[1:])
    )
    assert (both.low, both.high) == (min(one.low, other.low), max(one.high, other.high))
    assert min(one.value, other.value) <= both.value <= max(one.value, other.value)


@pytest.mark.parametrize(
    ("way", "assumption"),
    [
        ("cbpe", Assumption.NO_SHIFT),
        ("pape", Assumption.COVARIATE_SHIFT),
        ("corrected", Assumption.LABEL_SHIFT),
    ],
)
@pytest.mark.parametrize("share", [PRIOR, 0.75])
def test_a_way_that_was_chosen_is_kept_whatever_has_moved(way: Way, assumption: Assumption, share: float):
    rng = np.random.default_rng(12)
    estimator = fitted(rng, way=way)
    table, label = drawn(rng, 2000, share=share)
    seen = assumed(estimator, table, rng)
    assert seen.assumption is assumption
    gap = abs(seen.estimate("accuracy").value - metric("accuracy", scored(table), label))
    assert gap < 0.03 or (share != PRIOR and way != "corrected")


def test_shares_that_cannot_be_told_are_not_corrected_for():
    rng = np.random.default_rng(13)
    estimator = fitted(rng, way="corrected")
    table, _ = drawn(rng, 500)
    scores = scored(table)
    untold = estimator.label_shift.estimate(scores[:0])
    seen = estimator.assume(table, scores, scores, untold, rng)
    assert seen.assumption is Assumption.NO_SHIFT


def test_confidence_alone_gives_accuracy_and_nothing_else():
    rng = np.random.default_rng(14)
    kept = fitted(rng).held_out
    estimator = estimator_of(kept, LabelShift.fit(kept.scores, kept.target), "bias_corrected", "atc")
    assert estimator is not None
    table, label = drawn(rng, 2000)
    scores = scored(table)
    seen = estimator.assume(table, scores, scores, None, rng)
    assert seen.assumption is Assumption.CONFIDENCE
    found = seen.estimate("accuracy")
    assert found.low <= metric("accuracy", scores, label) <= found.high
    assert seen.estimate("accuracy", np.arange(10)).n == 10
    with pytest.raises(KeyError, match="f1"):
        seen.estimate("f1")


def test_of_segments_only_their_rows_count():
    rng = np.random.default_rng(7)
    table, label = drawn(rng, 4000)
    estimator = fitted(rng)
    seen = assumed(estimator, table, rng)
    part = table["a"] > 1.0
    found = seen.estimate("accuracy", part)
    assert found.n == part.sum()
    assert found.value == pytest.approx(metric("accuracy", scored(table)[part], label[part]), abs=0.06)
    assert np.isnan(seen.estimate("accuracy", np.zeros(4000, dtype=bool)).value)


def test_regression_follows_the_errors_of_rows_alike():
    rng = np.random.default_rng(8)
    schema = Schema(features={"x": "numeric"})

    def rows(n: int, centre: float) -> tuple[dict, np.ndarray, np.ndarray]:
        x = rng.normal(centre, 1.0, n)
        return {"x": x}, 3.0 * x, 3.0 * x + np.where(x > 0.5, 2.0, 0.5) * rng.normal(size=n)

    table, predicted, target = rows(4000, 0.0)
    estimator = estimator_of(HeldOut.fit(table, schema, predicted, target), None, "bias_corrected")
    assert estimator is not None
    for centre in (0.0, 1.0):
        table, predicted, target = rows(1500, centre)
        seen = estimator.assume(table, predicted, predicted, None, rng)
        assert centre == 0.0 or seen.assumption is Assumption.COVARIATE_SHIFT
        found = seen.estimate("mae")
        assert found.low <= metric("mae", predicted, target) <= found.high


def test_without_held_out_rows_or_a_batch_there_is_nothing_to_estimate():
    nothing = HeldOut.fit({"x": np.zeros(0)}, Schema(features={"x": "numeric"}), np.zeros((0, 2)), np.zeros(0, int))
    assert estimator_of(nothing, LabelShift.fit(nothing.scores, nothing.target), "bias_corrected") is None
    rng = np.random.default_rng(9)
    estimator = fitted(rng)
    empty = {"a": np.zeros(0), "b": np.zeros(0), "c": np.array([], dtype=object)}
    assert np.isnan(assumed(estimator, empty, rng).estimate("accuracy").value)

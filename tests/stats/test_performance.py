from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from monitor.stats.losses import CLIP, log_loss
from monitor.stats.performance import higher_is_better, metric, metric_interval


@st.composite
def scored(draw, two_classes=False):
    """Probabilities with ties, and codes; every class occurs."""
    k, n = 2 if two_classes else draw(st.integers(2, 4)), draw(st.integers(4, 40))
    raw = np.array(draw(st.lists(st.lists(st.integers(1, 9), min_size=k, max_size=k), min_size=n, max_size=n)), float)
    target = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    target[:k] = np.arange(k)
    return raw / raw.sum(axis=1, keepdims=True), target


@given(scored())
def test_accuracy_and_log_loss_are_those_of_sklearn(case):
    scores, target = case
    assert metric("accuracy", scores, target) == pytest.approx(metrics.accuracy_score(target, scores.argmax(axis=1)))
    labels = np.arange(scores.shape[1])
    assert metric("log_loss", scores, target) == pytest.approx(metrics.log_loss(target, scores, labels=labels))


@given(scored(two_classes=True), st.sampled_from([0, 1]))
def test_binary_metrics_are_those_of_sklearn(case, positive):
    scores, target = case
    true, score = target == positive, scores[:, positive]
    said = scores.argmax(axis=1) == positive
    wanted = {
        "roc_auc": metrics.roc_auc_score(true, score),
        "average_precision": metrics.average_precision_score(true, score),
        "f1": metrics.f1_score(true, said, zero_division=0.0),
        "brier": metrics.brier_score_loss(true, score),
    }
    for name, value in wanted.items():
        assert metric(name, scores, target, positive=positive) == pytest.approx(value, abs=1e-12)


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=40))
def test_regression_metrics_are_those_of_sklearn(pairs):
    scores, target = np.array(pairs).T
    assert metric("mae", scores, target) == pytest.approx(metrics.mean_absolute_error(target, scores))
    assert metric("rmse", scores, target) == pytest.approx(metrics.root_mean_squared_error(target, scores), abs=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "log_loss", "brier", "f1", "average_precision", "mae", "rmse"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name):
    rng = np.random.default_rng(6)

    def draw(n):
        if name in ("mae", "rmse"):
            scores = rng.normal(size=n)
            return scores, scores + rng.normal(size=n)
        p = rng.beta(1.2, 1.5, size=n)
        return np.column_stack([1 - p, p]), (rng.random(n) < p).astype(int)

    truth = metric(name, *draw(400_000))
    intervals = [metric_interval(name, *draw(300)) for _ in range(500)]
    inside = sum(i.low <= truth <= i.high for i in intervals)
    # 95% of 500 is 475; 459 or more with probability > 0.999 (binomial); the intervals are approximate: 450.
    assert inside >= 450
    assert all(i.low <= i.value <= i.high for i in intervals)


def test_delong_error_matches_the_spread_of_the_estimate():
    rng = np.random.default_rng(12)
    drawn = []
    for _ in range(800):
        target = (rng.random(200) < 0.4).astype(int)
        score = rng.normal(size=200) + target
        drawn.append(metric_interval("roc_auc", np.column_stack([-score, score]), target))
    spread = np.std([d.value for d in drawn])
    assert np.mean([d.standard_error for d in drawn]) == pytest.approx(spread, rel=0.1)


def test_a_class_the_model_does_not_know_is_an_error():
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    target = np.array([-1, 1])
    assert metric("accuracy", scores, target) == 0.5
    assert log_loss(scores, target) == pytest.approx([-np.log(CLIP), -np.log(0.8)])
    assert metric("brier", scores, target) == pytest.approx((0.91 + 0.04) / 2)


def test_undefined_metrics_are_nan():
    one_kind = np.array([[0.3, 0.7], [0.4, 0.6]]), np.array([1, 1])
    assert np.isnan(metric("roc_auc", *one_kind))
    assert np.isnan(metric("average_precision", one_kind[0], np.array([0, 0])))
    for name in ("accuracy", "mae"):
        assert np.isnan(metric(name, np.zeros((0, 2)) if name == "accuracy" else np.zeros(0), np.zeros(0, dtype=int)))


def test_which_way_is_better():
    assert higher_is_better("roc_auc")
    assert not higher_is_better("log_loss")
    with pytest.raises(KeyError):
        higher_is_better("speed")

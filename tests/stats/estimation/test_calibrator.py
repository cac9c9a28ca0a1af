"""Calibrators against an independent implementation, repeated rows, and resampled held-out rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from monitor.stats.calibration import softmax
from monitor.stats.estimation.calibrator import fit_calibrator

KINDS = ("bias_corrected", "temperature", "isotonic")


def drawn(rng: np.random.Generator, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an overconfident model, and labels."""
    logits = rng.normal(size=(rows, classes))
    true = softmax(logits)
    return softmax(2.0 * logits), (rng.random((rows, 1)) > np.cumsum(true, axis=1)).sum(axis=1)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_probabilities_and_as_often_right_as_they_say(kind: str, classes: int):
    scores, labels = drawn(np.random.default_rng(0), 8000, classes)
    h = fit_calibrator(kind, scores, labels).apply(scores)
    assert h.sum(axis=1) == pytest.approx(np.ones(8000))
    assert h.min() >= 0.0
    surest = h.max(axis=1) > 0.7
    assert h.max(axis=1)[surest].mean() == pytest.approx((h.argmax(axis=1) == labels)[surest].mean(), abs=0.03)


def test_a_weight_is_as_many_rows():
    rng = np.random.default_rng(1)
    scores, labels = drawn(rng, 300, 3)
    weights = rng.integers(1, 4, 300)
    again = fit_calibrator("isotonic", np.repeat(scores, weights, axis=0), np.repeat(labels, weights))
    weighed = fit_calibrator("isotonic", scores, labels, weights.astype(float))
    assert weighed.apply(scores) == pytest.approx(again.apply(scores))


def test_isotonic_regression_is_that_of_scikit_learn():
    scores, labels = drawn(np.random.default_rng(2), 500, 2)
    weights = np.random.default_rng(3).gamma(2.0, size=500)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores[:, 1], labels, sample_weight=weights)
    ours = fit_calibrator("isotonic", scores, labels, weights)
    assert ours.apply(scores)[:, 1] == pytest.approx(theirs.predict(scores[:, 1]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_variance_is_that_over_held_out_samples(kind: str):
    rng = np.random.default_rng(4)
    batch, _ = drawn(rng, 400, 2)
    slope = np.eye(2)[batch.argmax(axis=1)] / 400  # expected accuracy
    found, variances = [], []
    for _ in range(150):
        calibrator = fit_calibrator(kind, *drawn(rng, 1000, 2))
        found.append(float((slope * calibrator.apply(batch)).sum()))
        variances.append(calibrator.variance(batch, slope))
    # a variance of 150 draws is within 35% of the true one with probability > 0.998
    assert np.mean(variances) == pytest.approx(np.var(found), rel=0.4)


@pytest.mark.parametrize("kind", ["bias_corrected", "temperature"])
def test_weights_without_a_reason_change_nothing_and_those_with_one_do(kind: str):
    """In half of the rows the scores are right, in the other half overconfident."""
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(6000, 2))
    sharp = np.where(np.arange(6000)[:, None] < 3000, 1.0, 3.0)
    labels = (rng.random(6000) < softmax(logits)[:, 1]).astype(int)
    scores = softmax(sharp * logits)
    plain = fit_calibrator(kind, scores, labels)
    by_chance = fit_calibrator(kind, scores, labels, rng.gamma(2.0, 0.5, 6000))
    second_half = fit_calibrator(kind, scores, labels, (np.arange(6000) >= 3000) + 1e-9)
    wanted = softmax(logits[3000:])
    assert np.abs(by_chance.apply(scores) - plain.apply(scores)).mean() < 0.01
    assert np.abs(second_half.apply(scores[3000:]) - wanted).mean() < 0.02
    assert np.abs(plain.apply(scores[3000:]) - wanted).mean() > 0.025


def test_without_held_out_rows_scores_stay_as_they_are():
    scores = np.array([[0.2, 0.8], [0.7, 0.3]])
    for kind in KINDS:
        assert fit_calibrator(kind, np.zeros((0, 2)), np.zeros(0, dtype=int)).apply(scores) == pytest.approx(scores)
    with pytest.raises(KeyError):
        fit_calibrator("platt", scores, np.array([0, 1]))

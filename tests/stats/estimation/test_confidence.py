"""Average thresholded confidence: exact on the held-out rows, right on rows like them, blind where it must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from monitor.stats.estimation.confidence import Threshold, sureness

BY = ("entropy", "confidence")


def drawn(rng: np.random.Generator, rows: int, classes: int = 3, sharper: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a model that is too sure of itself, and labels."""
    logits = rng.normal(0.0, 1.5, (rows, classes))
    true = special.softmax(logits, axis=1)
    labels = (rng.random(rows)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    return special.softmax(sharper * logits, axis=1), np.minimum(labels, classes - 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from(BY), st.sampled_from([0.1, 0.5, 1e-9]))
def test_as_many_held_out_rows_are_above_as_are_right(seed, rows, by, step):
    """With rows that are equally sure, too."""
    rng = np.random.default_rng(seed)
    scores = special.softmax(np.round(rng.normal(size=(rows, 3)) / step) * step, axis=1)
    labels = rng.integers(3, size=rows)
    found = Threshold.fit(scores, labels, by).estimate(scores)
    assert found.value == pytest.approx((scores.argmax(axis=1) == labels).mean(), abs=1e-9)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


@pytest.mark.parametrize("by", BY)
def test_the_threshold_is_that_of_the_paper(by):
    """Written out by the definition: the t of all rows' sureness at which [below t] comes nearest to the error."""
    rng = np.random.default_rng(1)
    (scores, labels), (batch, _) = drawn(rng, 400), drawn(rng, 300)
    sure = scores.max(axis=1) if by == "confidence" else (scores * np.log(scores)).sum(axis=1)
    error = (scores.argmax(axis=1) != labels).mean()
    t = min(np.sort(sure), key=lambda t: abs((sure < t).mean() - error))
    now = batch.max(axis=1) if by == "confidence" else (batch * np.log(batch)).sum(axis=1)
    assert Threshold.fit(scores, labels, by).estimate(batch).value == pytest.approx((now >= t).mean(), abs=1 / 300)


@pytest.mark.parametrize("by", BY)
def test_without_a_shift_it_is_unbiased_and_its_interval_holds(by):
    rng = np.random.default_rng(2)
    errors, inside = [], 0
    for _ in range(300):
        threshold = Threshold.fit(*drawn(rng, 600), by)
        batch, labels = drawn(rng, 400)
        found, truth = threshold.estimate(batch), (batch.argmax(axis=1) == labels).mean()
        errors.append(found.value - truth)
        inside += found.low <= truth <= found.high
    assert abs(np.mean(errors)) < 3.3 * np.std(errors) / np.sqrt(300)  # probability 0.999
    assert inside >= 272  # 95% of 300 is 285; fewer than 272 has probability < 0.001


def test_for_two_classes_both_kinds_of_sureness_agree():
    rng = np.random.default_rng(3)
    held_out, (batch, _) = drawn(rng, 500, 2), drawn(rng, 300, 2)
    one, other = (Threshold.fit(*held_out, by).estimate(batch).value for by in BY)
    assert one == pytest.approx(other, abs=0.005)


def test_a_surer_model_is_taken_to_be_better():
    rng = np.random.default_rng(4)
    threshold = Threshold.fit(*drawn(rng, 2000))
    values = [threshold.estimate(drawn(rng, 2000, sharper=s)[0]).value for s in (1.0, 2.0, 4.0)]
    assert values[0] < values[1] < values[2]


def test_ends_and_nothing():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    right = Threshold.fit(scores, np.array([0, 0, 1]))
    assert right.estimate(scores).value == 1.0
    assert right.estimate(np.array([[0.5, 0.5]])).value == 0.0
    assert Threshold.fit(scores, np.array([1, 1, 0])).estimate(scores).value == 0.0
    assert np.isnan(right.estimate(scores[:0]).value)
    certain = np.eye(2)[[0, 1, 0, 1]]
    assert Threshold.fit(certain, np.array([0, 1, 1, 1])).estimate(certain[:1]).value == 0.75
    assert (sureness(certain, "entropy") == 0.0).all()

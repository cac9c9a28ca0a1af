from __future__ import annotations

import numpy as np
import pytest

from monitor.stats.label_shift import bbse, confusion_matrix

GIVEN_LABEL = np.array([[0.8, 0.15, 0.1], [0.1, 0.7, 0.1], [0.1, 0.15, 0.8]])  # P(predicted | label)
PRIOR = np.array([0.5, 0.3, 0.2])


def test_exact_shares_come_back():
    q = np.array([0.2, 0.5, 0.3])
    got = bbse(GIVEN_LABEL * PRIOR, np.rint(GIVEN_LABEL @ q * 1_000_000).astype(int), 10_000)
    assert got.share == pytest.approx(q, abs=1e-5)
    assert got.condition == pytest.approx(np.linalg.cond(GIVEN_LABEL))
    assert got.p_value < 1e-10


def drawn(rng, q, n, held_out):
    """Sampled confusion matrix and predicted counts."""

    def predictions(prior, rows):
        labels = rng.choice(3, rows, p=prior)
        return labels, (rng.random(rows)[:, None] > GIVEN_LABEL.cumsum(axis=0).T[labels]).sum(axis=1)

    labels, said = predictions(PRIOR, held_out)
    _, now = predictions(q, n)
    return confusion_matrix(said, labels, 3), np.bincount(now, minlength=3)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    q = np.array([0.25, 0.35, 0.4])
    inside = np.zeros(3)
    for _ in range(600):
        got = bbse(*drawn(rng, q, 400, 800), 800)
        inside += (got.low <= q) & (q <= got.high)
    # 95% of 600 is 570; [550, 588] holds with probability > 0.999 (binomial) and leaves 0.5% to the delta method.
    assert (inside >= 547).all()
    assert (inside <= 589).all()


def test_false_alarm_rate_of_the_test_of_predicted_classes():
    rng = np.random.default_rng(9)
    hits = sum(bbse(*drawn(rng, PRIOR, 400, 800), 800).p_value < 0.05 for _ in range(1000))
    # For level 0.05 and 1000 draws, [29, 74] holds with probability > 0.999 (binomial).
    assert 29 <= hits <= 74


def test_negative_shares_are_clipped_to_the_simplex():
    got = bbse(GIVEN_LABEL * PRIOR, np.array([100, 0, 0]), 1000)
    assert (got.share >= 0).all()
    assert got.share.sum() == pytest.approx(1.0)
    assert ((got.low >= 0) & (got.high <= 1) & (got.low <= got.share) & (got.share <= got.high)).all()


def test_a_class_that_is_never_predicted_is_said_not_guessed():
    never = np.array([[0.4, 0.2], [0.3, 0.1]]) @ np.diag([1, 1])
    never[0] += never[1]
    never[1] = 0.0
    got = bbse(never, np.array([100, 0]), 1000)
    assert np.isnan(got.share).all()
    assert got.condition == np.inf
    assert "singular" in got.reason
    assert got.p_value == 1.0


def test_a_class_without_held_out_rows_and_an_empty_batch():
    got = bbse(np.array([[0.7, 0.0], [0.3, 0.0]]), np.array([10, 10]), 1000)
    assert "no held-out rows of 1 of 2 classes" in got.reason
    assert bbse(GIVEN_LABEL * PRIOR, np.zeros(3, dtype=int), 1000).reason == "no rows"


def test_rows_of_unknown_class_are_not_in_the_matrix():
    got = confusion_matrix(np.array([0, 1, 1]), np.array([0, -1, 0]), 2)
    assert got.tolist() == [[0.5, 0.0], [0.5, 0.0]]
    assert confusion_matrix(np.array([0]), np.array([-1]), 2).sum() == 0.0

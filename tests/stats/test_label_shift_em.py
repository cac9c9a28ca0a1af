"""Class shares by maximum likelihood on classes whose true posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from monitor.stats.calibration import Calibration, curvature, log_scores, slopes, softmax
from monitor.stats.label_shift_em import LabelShift, maximise

PRIOR = np.array([0.5, 0.3, 0.2])
CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
SHARPNESS = 3.0  # the model is three times as sure as it may be
BIAS = np.array([0.0, 1.0, -0.5])


def drawn(rng: np.random.Generator, shares: np.ndarray, rows: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an overconfident and biased model, and labels."""
    labels = rng.choice(3, rows, p=shares)
    x = CENTRES[labels] + noise * rng.normal(size=(rows, 2))
    true = np.log(PRIOR) - 0.5 * np.square(x[:, None, :] - CENTRES).sum(axis=2)
    return softmax(SHARPNESS * true + BIAS), labels


def test_calibration_undoes_what_the_model_did():
    scores, labels = drawn(np.random.default_rng(0), PRIOR, 50_000)
    found = Calibration.fit(scores, labels)
    assert found.sharpness == pytest.approx(1 / SHARPNESS, rel=0.03)
    assert found.bias == pytest.approx(-BIAS / SHARPNESS, abs=0.05)
    # at the optimum the mean calibrated score is the share of the labels
    assert found.apply(scores).mean(axis=0) == pytest.approx(np.bincount(labels) / len(labels), abs=1e-4)


def test_derivatives_are_those_of_the_loss():
    scores, labels = drawn(np.random.default_rng(1), PRIOR, 50)
    logs, theta = log_scores(scores), np.array([0.7, 0.2, -0.1])

    def loss(at: np.ndarray) -> float:
        h = softmax(at[0] * logs + np.array([0.0, *at[1:]]))
        return float(-np.log(h[np.arange(50), labels]).sum())

    h = softmax(theta[0] * logs + np.array([0.0, *theta[1:]]))
    gradient = slopes(h - np.eye(3)[labels], logs).sum(axis=0)
    assert gradient == pytest.approx(optimize.approx_fprime(theta, loss, 1e-7), rel=1e-4)

    def slope(at: np.ndarray) -> np.ndarray:
        h = softmax(at[0] * logs + np.array([0.0, *at[1:]]))
        return slopes(h - np.eye(3)[labels], logs).sum(axis=0)

    numeric = np.stack([(slope(theta + e) - slope(theta - e)) / 2e-6 for e in 1e-6 * np.eye(3)])
    assert curvature(h, logs) == pytest.approx(numeric, rel=1e-5, abs=1e-5)


def test_calibration_of_a_model_without_mistakes_stays_finite():
    labels = np.arange(300) % 3
    found = Calibration.fit(np.eye(3)[labels], labels)
    assert np.isfinite(found.sharpness)
    assert (found.apply(np.eye(3)).argmax(axis=1) == [0, 1, 2]).all()


def test_the_likelihood_has_no_larger_value():
    rng = np.random.default_rng(2)
    ratio = rng.gamma(1.0, size=(200, 3))
    found = maximise(ratio, PRIOR)
    best = optimize.minimize(
        lambda q: -np.log(ratio @ q).sum(), PRIOR, bounds=[(0, 1)] * 3, method="SLSQP",
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1}, options={"ftol": 1e-12},
    )  # fmt: skip
    assert np.log(ratio @ found).sum() == pytest.approx(-best.fun, abs=1e-6)
    assert found == pytest.approx(best.x, abs=1e-3)


def test_intervals_hold_the_truth_and_the_check_keeps_its_level():
    rng = np.random.default_rng(3)
    shares = np.array([0.2, 0.35, 0.45])
    inside, rejected, runs = np.zeros(3), 0, 500
    for _ in range(runs):
        shift = LabelShift.fit(*drawn(rng, PRIOR, 800))
        seen = shift.estimate(drawn(rng, shares, 400)[0])
        inside += (seen.low <= shares) & (shares <= seen.high)
        rejected += seen.fit_p < 0.05
    # 95% of 500 is 475; [457, 490] holds with probability > 0.999 (binomial) and leaves 0.5% to the delta method.
    assert (inside >= 454).all()
    assert (inside <= 491).all()
    # 5% of 500 is 25; [11, 43] holds with probability > 0.999.
    assert 10 <= rejected <= 44


def test_other_inputs_are_not_taken_for_label_shift():
    rng = np.random.default_rng(4)
    shift = LabelShift.fit(*drawn(rng, PRIOR, 2000))
    assert shift.estimate(drawn(rng, np.array([0.1, 0.1, 0.8]), 2000)[0]).fit_p > 0.01
    assert shift.estimate(drawn(rng, PRIOR, 2000, noise=2.0)[0]).fit_p < 1e-6


def test_a_class_that_is_gone_has_a_share_of_nothing_and_an_interval():
    rng = np.random.default_rng(5)
    seen = LabelShift.fit(*drawn(rng, PRIOR, 2000)).estimate(drawn(rng, np.array([0.6, 0.4, 0.0]), 500)[0])
    assert seen.share[2] < 0.02
    assert (seen.low[2], seen.share.sum()) == (0.0, pytest.approx(1.0))
    assert 0.0 < seen.high[2] < 0.1


def test_corrected_scores_are_right_more_often():
    rng = np.random.default_rng(6)
    shift = LabelShift.fit(*drawn(rng, PRIOR, 2000))
    scores, labels = drawn(rng, np.array([0.05, 0.15, 0.8]), 4000)
    corrected = shift.correct(scores, shift.estimate(scores).share)
    assert corrected.sum(axis=1) == pytest.approx(np.ones(4000))
    assert (corrected.argmax(axis=1) == labels).mean() > (scores.argmax(axis=1) == labels).mean() + 0.05


@pytest.mark.parametrize(
    ("held_out", "labels", "batch", "why"),
    [
        (np.full((10, 2), 0.5), np.arange(10) % 2, np.zeros((0, 2)), "no rows"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), np.full((5, 2), 0.5), "no rows"),
        (np.full((10, 2), 0.5), np.zeros(10, dtype=int), np.full((5, 2), 0.5), "no held-out rows of 1 of 2 classes"),
        (np.full((10, 2), 0.5), np.arange(10) % 2, np.full((5, 2), 0.5), "do not tell the classes apart"),
    ],
)
def test_what_cannot_be_told_is_said(held_out, labels, batch, why: str):
    seen = LabelShift.fit(held_out, labels).estimate(batch)
    assert why in seen.reason
    assert np.isnan([seen.share, seen.low, seen.high]).all()
    assert seen.fit_p is None

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor.stats.multivariate.scores import score_shift


def softmax(logits):
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True)


def test_every_dimension_is_the_test_of_scipy():
    rng = np.random.default_rng(1)
    ref, cur = softmax(rng.normal(size=(300, 4))), softmax(rng.normal([0.0, 0.6, 0.0, 0.0], 1, (200, 4)))
    got = score_shift(ref, cur)
    theirs = [stats.ks_2samp(ref[:, k], cur[:, k], method="asymp") for k in range(4)]
    assert [d.statistic for d in got.dimensions] == pytest.approx([t.statistic for t in theirs], abs=1e-12)
    assert [d.p_value for d in got.dimensions] == pytest.approx([t.pvalue for t in theirs], abs=1e-6)
    assert got.result.p_value == pytest.approx(min(1.0, 4 * min(t.pvalue for t in theirs)), rel=1e-3)
    assert got.result.detail == "1"
    assert got.result.effect > 0


def test_false_alarm_rate_over_all_dimensions_and_power():
    rng = np.random.default_rng(2)

    def draw(shift):
        return score_shift(softmax(rng.normal(size=(200, 5))), softmax(rng.normal(size=(200, 5)) + shift)).result

    hits = sum(draw(0.0).p_value < 0.05 for _ in range(500))
    # Bonferroni: at most 0.05; for 500 draws at most 42 hits hold with probability > 0.999 (binomial).
    assert hits <= 42
    assert sum(draw(np.array([1.0, 0, 0, 0, 0])).p_value < 0.01 for _ in range(50)) >= 48


def test_two_classes_are_one_dimension():
    rng = np.random.default_rng(3)
    p, q = rng.random(100), rng.random(80) ** 2
    got = score_shift(np.stack([1 - p, p], axis=1), np.stack([1 - q, q], axis=1))
    assert got.dimensions[0].p_value is None
    assert got.result.p_value == got.dimensions[1].p_value
    assert got.result.effect < 0


def test_degenerate_scores():
    assert score_shift(np.zeros((5, 0)), np.zeros((5, 0))).result.p_value is None
    assert score_shift(np.zeros((0, 3)), np.zeros((5, 3))).result.p_value is None
    assert score_shift(np.ones((5, 3)), np.ones((4, 3))).result.p_value == 1.0
    missing = np.ones((5, 3))
    missing[:, 1] = np.nan
    got = score_shift(np.ones((5, 3)), missing)
    assert np.isnan(got.adjusted).tolist() == [False, True, False]

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from monitor.stats.multivariate.classifier import classifier_test
from monitor.stats.multivariate.logistic import Logistic


def shifted(rng, n, m, columns, shift):
    ref, cur = rng.normal(size=(n, columns)), rng.normal(size=(m, columns))
    cur[:, 0] += shift
    return ref, cur


@pytest.mark.parametrize("shift", [0.0, 0.5, 8.0])
def test_the_regression_is_that_of_sklearn(shift):
    rng = np.random.default_rng(3)
    ref, cur = shifted(rng, 300, 200, 6, shift)
    rows, positive = np.concatenate([ref, cur]), np.arange(500) >= 300
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(rows, positive)
    got = Logistic.fit(rows, positive)
    assert got.coefficients == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert got.log_odds(rows) == pytest.approx(theirs.decision_function(rows), abs=1e-2)


@pytest.mark.parametrize(("columns", "folds"), [(1, 5), (3, 5), (10, 2), (4, 10)])
def test_false_alarm_rate_is_at_most_its_level(columns, folds):
    rng = np.random.default_rng(5)
    groups = np.arange(columns)
    p = [classifier_test(*shifted(rng, 60, 90, columns, 0.0), groups, rng, folds).result.p_value for _ in range(150)]
    # For level 0.05 and 150 draws, at most 17 hits hold with probability > 0.999 (binomial).
    assert int(np.sum(np.array(p) < 0.05)) <= 17


def test_power_attribution_and_effect():
    rng = np.random.default_rng(6)
    found = [classifier_test(*shifted(rng, 1000, 1000, 8, 0.4), np.arange(8), rng) for _ in range(40)]
    assert sum(f.result.p_value < 0.01 for f in found) >= 38
    assert sum(int(np.argmax(f.shares)) == 0 for f in found) >= 38
    # Φ(0.4/√2) = 0.611 is the best area there is for two normal distributions 0.4 standard deviations apart.
    assert 0.08 < np.mean([f.result.effect for f in found]) < 0.115


def test_a_change_of_spread_is_seen_and_attributed():
    rng = np.random.default_rng(7)
    ref, cur = shifted(rng, 1500, 1500, 4, 0.0)
    cur[:, 2] *= 1.5
    found = classifier_test(ref, cur, np.array([0, 0, 1, 1]), rng)
    assert found.result.p_value < 1e-4
    assert found.shares[1] > 0.8
    assert found.shares.sum() == pytest.approx(1.0)


def test_the_weights_turn_the_reference_into_the_current_distribution():
    rng = np.random.default_rng(8)
    ref, cur = shifted(rng, 4000, 2000, 3, 0.7)
    weights = classifier_test(ref, cur, np.arange(3), rng).weights
    true_ratio = np.exp(0.7 * ref[:, 0] - 0.7**2 / 2)
    assert np.corrcoef(np.log(weights), np.log(true_ratio))[0, 1] > 0.98
    assert np.average(ref[:, 0], weights=weights) == pytest.approx(0.7, abs=0.08)
    assert weights.mean() == pytest.approx(1.0, abs=0.06)


@settings(max_examples=20)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 3), st.sampled_from([0.0, 1.0]))
def test_degenerate_samples_are_results(n, m, columns, spread):
    rng = np.random.default_rng(n * 31 + m)
    ref, cur = rng.normal(size=(n, columns)) * spread, rng.normal(size=(m, columns)) * spread
    found = classifier_test(ref, cur, np.arange(columns), rng)
    assert found.weights.shape == (n,)
    assert found.shares.shape == (columns,)
    assert np.isfinite(found.weights).all()
    if min(n, m) < 10 or columns == 0:
        assert found.result.p_value is None
    else:
        assert 0.0 <= found.result.p_value <= 1.0
        assert 0.0 <= found.result.statistic <= 1.0
    if spread == 0.0 and found.result.p_value is not None:
        assert found.result.statistic == 0.5
        assert found.shares.tolist() == [0.0] * columns


def test_rows_that_can_be_separated_have_finite_weights():
    rng = np.random.default_rng(9)
    found = classifier_test(np.zeros((50, 1)), np.full((50, 1), 6.0), np.zeros(1, dtype=np.int64), rng)
    assert found.result.statistic == 1.0
    assert np.isfinite(found.weights).all()
    assert found.weights.max() < 0.5

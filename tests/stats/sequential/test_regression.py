from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitor.stats.sequential.regression import Regression, learn, normal_score, predict, reopen

DIFFUSE = 1e8


def follow(model, x, y, ratio=None, floor=0.0):
    """Step through x (T, p), y (T,): the residuals of every step, one stream."""
    steps = []
    for t in range(len(y)):
        r = np.ones(1) if ratio is None else ratio[t : t + 1]
        seen = predict(model, x[t][None, :], y[t : t + 1], r, floor)
        steps.append(seen)
        model, _ = learn(model, seen, r, 2)
    return model, steps


def slow_residual(x, y, ratio, t):
    """Brown, Durbin and Evans, by a least-squares fit to all that came before."""
    weight = 1 / np.sqrt(ratio[:t])
    before = x[:t] * weight[:, None]
    theta = np.linalg.lstsq(before, y[:t] * weight, rcond=None)[0]
    spread = ratio[t] + x[t] @ np.linalg.inv(before.T @ before) @ x[t]
    return (y[t] - x[t] @ theta) / np.sqrt(spread)


def test_standard_residuals_are_those_of_weighted_least_squares_from_scratch():
    rng = np.random.default_rng(7)  # no residual beyond three standard deviations: those are learnt as three
    x = np.column_stack([np.ones(40), rng.normal(size=(40, 3))])
    ratio = rng.uniform(0.5, 3.0, 40)
    y = x @ [2.0, -1.0, 0.5, 3.0] + rng.normal(size=40) * np.sqrt(ratio)
    _, steps = follow(Regression.start(np.full((1, 4), DIFFUSE)), x, y, ratio)
    judged = [t for t in range(40) if steps[t].judged[0]]
    assert judged[0] >= 8  # four coefficients and four residuals for the scale
    for t in judged:
        assert np.isclose(steps[t].standard[0], slow_residual(x, y, ratio, t), rtol=1e-4, atol=1e-5)


def test_the_scale_is_the_mean_square_of_the_residuals_before():
    rng = np.random.default_rng(2)
    x = np.ones((30, 1))
    y = rng.normal(size=30)
    _, steps = follow(Regression.start(np.full((1, 1), DIFFUSE)), x, y)
    expected = [slow_residual(x, y, np.ones(30), t) for t in range(1, 29)]
    assert np.isclose(steps[29].scale[0], np.sqrt(np.mean(np.square(expected))), rtol=1e-6)
    assert steps[29].dof[0] == 28


def test_scores_are_standard_normal_however_short_the_history():
    rng = np.random.default_rng(3)
    streams = 20_000
    model = Regression.start(np.full((streams, 1), DIFFUSE))
    spread = rng.uniform(0.1, 10.0, streams)
    for t in range(9):
        seen = predict(model, np.ones((streams, 1)), spread * rng.normal(size=streams) + 5, np.ones(streams), 0.0)
        model, _ = learn(model, seen, np.ones(streams), 2)
        if t >= 5:
            assert seen.judged.all()
            for level in (0.01, 0.1):
                inside = stats.binomtest(int((np.abs(seen.z) > stats.norm.isf(level / 2)).sum()), streams, level)
                assert inside.pvalue > 1e-4
    assert abs(np.corrcoef(seen.z, spread)[0, 1]) < 0.03


@given(st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_scores_do_not_depend_on_the_unit(factor, seed):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(15), rng.normal(size=15)])
    y = rng.normal(size=15)
    one = follow(Regression.start(np.full((1, 2), 1e6)), x, y)[1]
    other = follow(Regression.start(np.full((1, 2), 1e6)), x, factor * y)[1]
    assert np.allclose([s.z for s in one], [s.z for s in other], rtol=1e-5, atol=1e-6)


def test_the_covariance_stays_positive_under_huge_regressors():
    rng = np.random.default_rng(4)
    model = Regression.start(np.full((1, 3), 1e4))
    x = np.column_stack([np.ones(300), rng.normal(size=300) * 1e6, np.ones(300)])
    _, steps = follow(model, x, rng.normal(size=300))
    assert all(s.variance_ratio[0] >= 1.0 for s in steps)


def test_one_extraordinary_day_is_learnt_as_three_standard_deviations():
    rng = np.random.default_rng(5)
    y = rng.normal(size=101)
    y[100] = 1e6
    x = np.ones((101, 1))
    model, steps = follow(Regression.start(np.full((1, 1), DIFFUSE)), x, y)
    assert steps[100].z[0] > 10
    assert abs(model.theta[0, 0]) < 0.3  # the mean of a hundred, plus 3σ/100
    assert model.squares[0] / model.dof[0] < 1.6


def test_a_row_of_extreme_values_is_a_new_level_but_no_dispersion():
    rng = np.random.default_rng(9)
    y = np.concatenate([rng.normal(size=100), 50.0 + rng.normal(size=4)])
    x = np.ones((104, 1))
    model, _ = follow(Regression.start(np.full((1, 1), DIFFUSE)), x[:102], y[:102])
    assert abs(model.theta[0, 0]) < 0.3  # two in a row are still an incident
    model, _ = follow(Regression.start(np.full((1, 1), DIFFUSE)), x, y)
    assert model.theta[0, 0] > 0.8  # the mean: two of the four as they are
    assert model.squares[0] / model.dof[0] < 1.6


def test_a_missing_value_teaches_nothing():
    model = Regression.start(np.full((2, 1), 1e4))
    seen = predict(model, np.ones((2, 1)), np.array([np.nan, 1.0]), np.ones(2), 0.0)
    after, learnt = learn(model, seen, np.ones(2), 2)
    assert after.theta[0, 0] == 0 and after.dof[0] == 0
    assert np.array_equal(after.root[0], model.root[0])
    assert np.isnan(learnt[0]) and learnt[1] == 1.0


def test_a_reopened_level_follows_the_next_value_and_only_there():
    rng = np.random.default_rng(6)
    x = np.ones((60, 1))
    model, _ = follow(Regression.start(np.full((1, 1), DIFFUSE)), x, rng.normal(size=60))
    reopened = reopen(model, np.array([True]), 1e6)
    after, steps = follow(reopened, x[:1], np.array([50.0]))
    assert not steps[0].judged[0]
    assert np.isclose(after.theta[0, 0], 50.0, atol=0.01)
    assert np.array_equal(reopen(model, np.array([False]), 1e6).root, model.root)


def test_a_stream_that_never_moved_is_judged_by_the_floor():
    x = np.ones((20, 1))
    y = np.zeros(20)
    y[-1] = 1.0
    _, steps = follow(Regression.start(np.full((1, 1), DIFFUSE)), x, y, floor=0.25)
    assert steps[-1].scale[0] == 0.5
    assert 1.5 < steps[-1].z[0] < 2.0


@given(st.floats(-30, 30), st.floats(1, 500))
def test_normal_scores_are_odd_and_agree_with_the_distribution(t, dof):
    z = normal_score(np.array([t, -t]), np.array([dof, dof]))
    assert z[0] == -z[1]
    assert np.isclose(stats.norm.logsf(abs(z[0])), stats.t.logsf(abs(t), dof), rtol=1e-6, atol=1e-9)


def test_a_third_extraordinary_day_in_a_row_is_a_new_level():
    rng = np.random.default_rng(8)
    y = rng.normal(size=104)
    y[100:] += 50.0
    x = np.ones((104, 1))
    model, _steps = follow(Regression.start(np.full((1, 1), DIFFUSE)), x[:102], y[:102])
    assert abs(model.theta[0, 0]) < 0.3
    after, _ = follow(model, x[102:], y[102:])
    assert after.theta[0, 0] > 0.8  # two days of 50 among 104, in full

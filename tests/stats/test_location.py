from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from monitor.stats.location import location, spread
from tests.stats.samples import columns, counts, finite_columns


@given(finite_columns, columns)
def test_location_is_the_auc_and_the_mann_whitney_test_of_scipy(ref, cur):
    cur = cur[np.isin(cur, ref)] if cur.size % 2 else ref[: cur.size]  # ties among the rest are not known
    if cur.size == 0:
        assert location(*counts(ref, cur)).p_value is None
        return
    got = location(*counts(ref, cur))
    theirs = stats.mannwhitneyu(cur, ref, use_continuity=False, method="asymptotic") if np.ptp(ref) > 0 else None
    below = np.sum(cur[:, None] > ref) + np.sum(cur[:, None] == ref) / 2
    assert got.statistic == pytest.approx(below / (cur.size * ref.size) - 0.5, abs=1e-9)
    if theirs is not None and not np.isnan(theirs.pvalue):
        assert got.p_value == pytest.approx(theirs.pvalue, abs=1e-6)
    else:
        assert got.p_value == 1.0


@given(columns, columns)
def test_location_of_any_values_is_the_auc(ref, cur):
    ref_held, cur_held = ref[~np.isnan(ref)], cur[~np.isnan(cur)]
    got = location(*counts(ref, cur))
    if ref_held.size and cur_held.size:
        above = np.sum(cur_held[:, None] > ref_held) + np.sum(cur_held[:, None] == ref_held) / 2
        assert got.statistic == pytest.approx(above / (cur_held.size * ref_held.size) - 0.5, abs=1e-9)
        assert 0.0 <= got.p_value <= 1.0


@given(finite_columns, finite_columns)
def test_spread_is_the_mean_score_of_the_rows(ref, cur):
    def u(x):
        return ((x[:, None] > ref).sum(axis=1) + (x[:, None] == ref).sum(axis=1) / 2) / ref.size

    got = spread(*counts(ref, cur))
    wanted = np.abs(2 * u(cur) - 1).mean() - np.abs(2 * u(ref) - 1).mean()
    assert got.statistic == pytest.approx(wanted, abs=1e-9)
    assert 0.0 <= got.p_value <= 1.0


@pytest.mark.parametrize(("sd", "shift", "a"), [(1, 0.1, 0.0282), (1, 0.2, 0.0562), (1, 0.5, 0.1382)])
def test_location_of_a_normal_shift(sd, shift, a):
    q = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    assert location(*counts(q, sd * q + shift)).effect == pytest.approx(a, abs=2e-4)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_spread_of_a_normal_column(factor):
    # E|2Φ(sZ) − 1| − ½ by numerical integration, independently of the code under test.
    z = np.linspace(-9, 9, 20_001)
    wanted = np.trapezoid(np.abs(2 * stats.norm.cdf(factor * z) - 1) * stats.norm.pdf(z), z) - 0.5
    q = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    got = spread(*counts(q, factor * q))
    assert got.effect == pytest.approx(wanted, abs=5e-4)
    assert got.p_value < 1e-10
    assert abs(location(*counts(q, factor * q)).effect) < 1e-9


@pytest.mark.parametrize("measure", [location, spread])
@pytest.mark.parametrize("draw", ["normal", "integers"])
def test_false_alarm_rate_under_the_null(measure, draw):
    rng = np.random.default_rng(11)

    def sample(n):
        return rng.normal(size=n) if draw == "normal" else rng.integers(0, 5, n).astype(float)

    p = np.array([measure(*counts(sample(300), sample(200))).p_value for _ in range(1500)])
    hits = int(np.sum(p < 0.05))
    # For level 0.05 and 1500 draws, [48, 104] holds with probability > 0.999 (binomial).
    assert 48 <= hits <= 104


def test_constant_columns():
    same = counts(np.ones(5), np.ones(7))
    assert location(*same)[:3] == (0.0, 1.0, 0.0)
    assert spread(*same)[:3] == (0.0, 1.0, 0.0)
    one_row = counts(np.ones(5), np.array([2.0]))
    assert location(*one_row).statistic == 0.5
    assert location(*one_row).p_value > 0.01  # one row proves little
    assert spread(*one_row).p_value > 0.01

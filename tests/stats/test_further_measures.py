"""Measures that are taken when asked for, held to scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from monitor.stats.anderson_darling import anderson_darling, limit_p_value
from monitor.stats.chi2 import cramers_v
from monitor.stats.cramer_von_mises import cramer_von_mises
from monitor.stats.divergences import hellinger, kullback_leibler, total_variation
from monitor.stats.g_test import g_test
from monitor.stats.moments import Moments
from monitor.stats.quantiles import WATCHED, quantile_shift
from monitor.stats.welch import sd_ratio, welch
from tests.stats.samples import columns, counts, finite_columns, summaries

level_counts = st.integers(2, 10).flatmap(
    lambda k: st.tuples(*[hnp.arrays(np.int64, k, elements=st.integers(1, 300))] * 2)
)


def known_values(ref):
    return st.lists(st.sampled_from(ref.tolist()), min_size=2, max_size=40).map(np.array)


@given(finite_columns.filter(lambda x: x.size > 1), st.data())
def test_cramer_von_mises_with_ties_is_that_of_scipy(ref, data):
    cur = data.draw(known_values(ref))
    theirs = stats.cramervonmises_2samp(ref, cur, method="asymptotic")
    got = cramer_von_mises(*counts(ref, cur))
    assert got.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert got.p_value == pytest.approx(theirs.pvalue, abs=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0, 4.0])
def test_cramer_von_mises_of_continuous_values_is_that_of_scipy(shift):
    rng = np.random.default_rng(1)
    ref, cur = rng.normal(size=400), rng.normal(shift, 1, 150)
    theirs = stats.cramervonmises_2samp(ref, cur, method="asymptotic")
    got = cramer_von_mises(*counts(ref, cur))
    assert got.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert got.p_value == pytest.approx(theirs.pvalue, abs=1e-6)


def scipys_anderson(ref, cur):
    """scipy's standardised statistic turned back into A², by the mean and variance of Scholz and Stephens."""
    n, m = ref.size, cur.size
    total = n + m
    h = np.sum(1 / np.arange(1, total))
    big_h = 1 / n + 1 / m
    g = sum(sum(1 / ((total - a) * b) for b in range(a + 1, total)) for a in range(1, total - 1))
    k = 2
    a = (4 * g - 6) * (k - 1) + (10 - 6 * g) * big_h
    b = (2 * g - 4) * k**2 + 8 * h * k + (2 * g - 14 * h - 4) * big_h - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * k**2 + (4 * h - 4 * g + 6) * k + (2 * h - 6) * big_h + 4 * h
    d = (2 * h + 6) * k**2 - 4 * h * k
    variance = (a * total**3 + b * total**2 + c * total + d) / ((total - 1) * (total - 2) * (total - 3))
    standardised = stats.anderson_ksamp([ref, cur], variant="midrank").statistic
    return standardised * np.sqrt(variance) + (k - 1)


@pytest.mark.filterwarnings("ignore:p-value")  # scipy says that it cuts its own p-value off
@given(finite_columns.filter(lambda x: np.unique(x).size > 1 and x.size > 3), st.data())
def test_anderson_darling_is_that_of_scipy(ref, data):
    cur = data.draw(known_values(ref))
    got = anderson_darling(*counts(ref, cur))
    assert got.statistic == pytest.approx(scipys_anderson(ref, cur), rel=1e-7, abs=1e-7)


def test_anderson_darling_limit_has_its_published_points():
    # Upper tail points of the limit: Stephens (1974), Table 1A, case 0.
    for point, level in [(1.933, 0.10), (2.492, 0.05), (3.070, 0.025), (3.857, 0.01)]:
        assert limit_p_value(point) == pytest.approx(level, rel=0.03)
    rising = [limit_p_value(x) for x in np.linspace(0.05, 40, 400)]
    assert all(a >= b for a, b in itertools.pairwise(rising))


@pytest.mark.parametrize("measure", [cramer_von_mises, anderson_darling])
def test_false_alarm_rate_and_power(measure):
    rng = np.random.default_rng(14)
    null = [measure(*counts(rng.normal(size=300), rng.normal(size=200))).p_value for _ in range(1000)]
    hits = int(np.sum(np.array(null) < 0.05))
    # For level 0.05 and 1000 draws, [29, 74] holds with probability > 0.999 (binomial).
    assert 29 <= hits <= 74
    moved = [measure(*counts(rng.normal(size=300), rng.normal(0.5, 1, 200))).p_value for _ in range(100)]
    assert sum(p < 0.01 for p in moved) >= 95


@given(level_counts)
def test_divergences_are_those_of_scipy(pair):
    r, c = (x / x.sum() for x in pair)
    assert kullback_leibler(*pair, floor=1e-12).statistic == pytest.approx(stats.entropy(c, r), abs=1e-9)
    assert total_variation(*pair).statistic == pytest.approx(np.abs(r - c).sum() / 2)
    assert hellinger(*pair).statistic == pytest.approx(np.sqrt(max(1 - np.sqrt(r * c).sum(), 0)), abs=1e-7)


@given(level_counts)
def test_g_and_cramers_v_are_those_of_scipy(pair):
    table = np.stack(pair)
    theirs = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    got = g_test(*pair, min_expected=0.0)
    assert got.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert got.p_value == pytest.approx(theirs.pvalue, abs=1e-6)
    assert 0.0 <= got.effect <= 1.0
    assert cramers_v(*pair).statistic == pytest.approx(stats.contingency.association(table), abs=1e-9)


@given(finite_columns, finite_columns)
def test_welch_is_that_of_scipy(ref, cur):
    got = welch(Moments.of(ref), Moments.of(cur))
    if min(ref.size, cur.size) < 2:
        assert got.p_value is None
    elif np.ptp(ref) > 1e-3 and np.ptp(cur) > 1e-3:
        theirs = stats.ttest_ind(cur, ref, equal_var=False)
        assert got.statistic == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-9)
        assert got.p_value == pytest.approx(theirs.pvalue, abs=1e-6)
        assert got.effect == pytest.approx((cur.mean() - ref.mean()) / ref.std(ddof=1), rel=1e-6, abs=1e-9)


def test_moments_that_overflow_are_not_compared():
    huge = Moments.of(np.array([1e200, -1e200]))
    assert welch(Moments.of(np.array([0.0, 1.0])), huge).p_value is None
    assert np.isnan(sd_ratio(huge, Moments.of(np.array([0.0, 1.0]))).statistic)
    assert welch(Moments.of(np.zeros(3)), Moments.of(np.ones(3)))[1:3] == (0.0, np.inf)
    assert sd_ratio(Moments.of(np.array([0.0, 1.0])), Moments.of(np.array([0.0, 2.0]))).statistic == pytest.approx(2.0)


@given(finite_columns, st.data())
def test_quantiles_of_known_values_are_those_of_numpy(ref, data):
    cur = data.draw(known_values(ref))
    moves = np.quantile(cur, WATCHED, method="inverted_cdf") - np.quantile(ref, WATCHED, method="inverted_cdf")
    assert abs(quantile_shift(*summaries(ref, cur)).statistic) == pytest.approx(np.abs(moves).max(), abs=1e-12)


@given(columns, columns)
def test_degenerate_samples_are_results(ref, cur):
    for measure in (cramer_von_mises, anderson_darling):
        got = measure(*counts(ref, cur))
        assert got.p_value is None or (0.0 <= got.p_value <= 1.0 and np.isfinite(got.effect))
    assert not np.isinf(quantile_shift(*summaries(ref, cur)).statistic)

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from monitor.stats.kolmogorov import one_sample_p_value, two_sample_p_value
from monitor.stats.ks import ks
from tests.stats.samples import columns, counts


def held(x):
    return x[~np.isnan(x)]


@given(columns, columns)
def test_statistic_is_that_of_scipy(ref, cur):
    got = ks(*counts(ref, cur))
    if held(ref).size == 0 or held(cur).size == 0:
        assert np.isnan(got.statistic)
        assert got.p_value is None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one row against one row scipy's own p-value divides by zero
        theirs = stats.ks_2samp(held(cur), held(ref), method="asymp")
    assert got.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    assert abs(got.effect) == pytest.approx(got.statistic)


@given(columns, columns)
def test_exact_p_value_is_that_of_scipy(ref, cur):
    got = ks(*counts(ref, cur))
    if got.p_value is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that scipy's own count overflowed and it went on with another method
            theirs = stats.ks_2samp(held(cur), held(ref), method="exact")
            other = stats.ks_2samp(held(cur), held(ref), method="asymp")
        assume(theirs.pvalue != other.pvalue or theirs.pvalue == 1.0)
        assert got.p_value == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize("sizes", [(10_000, 3000), (5000, 100), (200, 130), (100_000, 1000)])
@pytest.mark.parametrize("shift", [0.0, 0.02, 0.1, 0.3, 2.0])
def test_asymptotic_p_value_is_that_of_scipy(sizes, shift):
    rng = np.random.default_rng(5)
    n, m = sizes
    d = stats.ks_2samp(rng.normal(size=n), rng.normal(shift, size=m), method="asymp").statistic
    assert two_sample_p_value(d, n, m) == pytest.approx(stats.kstwo.sf(d, round(n * m / (n + m))), abs=1e-6)


@given(st.integers(1, 100_000), st.floats(0.01, 6.0))
def test_one_sample_distribution_is_that_of_scipy(n, z):
    d = z / np.sqrt(n)
    if d < 1:
        assert one_sample_p_value(d, n) == pytest.approx(stats.kstwo.sf(d, n), abs=2e-6)


@given(columns, columns)
def test_an_increasing_map_changes_nothing(ref, cur):
    all_values = np.unique(held(np.concatenate([ref, cur])))

    def mapped(x):
        return np.where(np.isnan(x), np.nan, np.exp(all_values.searchsorted(x) / 10))

    before, after = ks(*counts(ref, cur)), ks(*counts(mapped(ref), mapped(cur)))
    assert after.statistic == pytest.approx(before.statistic, abs=1e-12, nan_ok=True)


def test_a_long_reference_is_close_to_exact():
    rng = np.random.default_rng(7)
    ref, cur = rng.normal(size=50_000), rng.normal(0.05, size=4000)
    got = ks(*counts(ref, cur))
    exact = stats.ks_2samp(cur, ref, method="asymp").statistic
    assert exact - 2e-4 <= got.statistic <= exact + 1e-12


def test_false_alarm_rate_under_the_null():
    rng = np.random.default_rng(20240607)
    p = [ks(*counts(rng.normal(size=300), rng.normal(size=200))).p_value for _ in range(1000)]
    hits = int(np.sum(np.array(p) <= 0.05))
    # For level 0.05 and 1000 draws, at most 74 with probability > 0.999; the test is conservative, so few is fine.
    assert 20 <= hits <= 74


def test_power_against_half_a_standard_deviation():
    rng = np.random.default_rng(3)
    hits = sum(ks(*counts(rng.normal(size=300), rng.normal(0.5, size=200))).p_value <= 0.01 for _ in range(200))
    assert hits >= 190  # power is above 0.98


def test_the_sign_says_where_the_values_went():
    rng = np.random.default_rng(0)
    ref = rng.normal(size=500)
    assert ks(*counts(ref, ref + 1)).effect > 0 > ks(*counts(ref, ref - 1)).effect
    assert ks(*counts(ref, ref)) == (0.0, 1.0, 0.0, "")

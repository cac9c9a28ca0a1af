from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.stats.multivariate.kernel import gaussian, median_bandwidth, random_features
from monitor.stats.multivariate.mmd import mmd

cells = st.one_of(st.integers(-3, 3).map(float), st.floats(-6, 6, allow_subnormal=False))
samples = st.integers(0, 15).flatmap(lambda n: hnp.arrays(np.float64, (n, 3), elements=cells))


def slow_mmd2(ref, cur, bandwidth):
    """Equation 3 of Gretton et al., pair by pair."""

    def k(x, y):
        return math.exp(-sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / (2 * bandwidth**2))

    n, m = len(ref), len(cur)
    within = sum(k(x, y) for i, x in enumerate(ref) for j, y in enumerate(ref) if i != j) / (n * (n - 1))
    within_cur = sum(k(x, y) for i, x in enumerate(cur) for j, y in enumerate(cur) if i != j) / (m * (m - 1))
    return within + within_cur - 2 * sum(k(x, y) for x in ref for y in cur) / (n * m)


def normal(rng, n, m, columns=5, shift=0.0):
    return rng.normal(size=(n, columns)), rng.normal(size=(m, columns)) + shift


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_the_statistic_is_that_of_the_pairs(shift):
    rng = np.random.default_rng(1)
    ref, cur = normal(rng, 23, 31, shift=shift)
    pooled = np.concatenate([ref, cur])
    distances = [math.dist(pooled[i], pooled[j]) for i in range(54) for j in range(i)]
    assert median_bandwidth(pooled, rng) == pytest.approx(np.median(distances))
    wanted = slow_mmd2(ref, cur, np.median(distances))
    assert mmd(ref, cur, rng).statistic == pytest.approx(wanted, abs=1e-6)
    assert mmd(cur, ref, rng).statistic == pytest.approx(wanted, abs=1e-6)
    assert mmd(1000 * ref + 7, 1000 * cur + 7, rng).statistic == pytest.approx(wanted, abs=1e-5)


def test_blocks_of_the_kernel_add_up():
    rng = np.random.default_rng(2)
    ref, cur = normal(rng, 800, 700, shift=0.3)  # more rows than a block of the kernel has
    pooled = np.concatenate([ref, cur])
    kernel = gaussian(pooled, pooled, median_bandwidth(pooled, np.random.default_rng(4))).astype(np.float64)
    n, m = 800, 700
    within, within_cur, between = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    wanted = (within.sum() - n) / (n * (n - 1)) + (within_cur.sum() - m) / (m * (m - 1)) - 2 * between.mean()
    assert mmd(ref, cur, np.random.default_rng(4), permutations=5).statistic == pytest.approx(wanted, abs=1e-6)


def test_random_features_are_the_kernel_on_average_and_have_unit_length():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(40, 4))
    features = random_features(rows, 2.0, 8192, rng)
    assert features @ features.T == pytest.approx(gaussian(rows, rows, 2.0), abs=0.06)
    assert np.square(features).sum(axis=1) == pytest.approx(np.ones(40), abs=1e-4)


def test_the_approximation_is_near_the_exact_value():
    rng = np.random.default_rng(4)
    ref, cur = normal(rng, 600, 600, shift=0.3)
    exact = mmd(ref, cur, rng, permutations=50)
    rough = mmd(ref, cur, rng, permutations=50, exact_rows=0, features=4096)
    assert rough.statistic == pytest.approx(exact.statistic, rel=0.2)
    assert rough.detail == "4096 random features"


@pytest.mark.parametrize("exact_rows", [1000, 0])
def test_false_alarm_rate_and_power(exact_rows):
    rng = np.random.default_rng(5)

    def p_values(draws, shift):
        pairs = (normal(rng, 40, 60, shift=shift) for _ in range(draws))
        return np.array([mmd(*pair, rng, permutations=99, exact_rows=exact_rows).p_value for pair in pairs])

    # p ≤ 0.05 with probability exactly 0.05; for 400 draws [7, 36] holds with probability > 0.999 (binomial).
    assert 7 <= int((p_values(400, 0.0) <= 0.05).sum()) <= 36
    assert int((p_values(40, 0.8) <= 0.02).sum()) >= 38


@given(samples, samples)
def test_degenerate_samples_are_results(ref, cur):
    for exact_rows in (1000, 0):
        got = mmd(ref, cur, np.random.default_rng(0), permutations=9, exact_rows=exact_rows)
        if min(len(ref), len(cur)) < 2:
            assert got.p_value is None
        else:
            assert 0.1 <= got.p_value <= 1.0
            assert 0.0 <= got.effect <= math.sqrt(2) + 1e-6


def test_equal_rows_are_no_shift_and_mostly_equal_rows_have_a_scale():
    rng = np.random.default_rng(6)
    assert mmd(np.ones((5, 2)), np.ones((4, 2)), rng)[:3] == (0.0, 1.0, 0.0)
    rows = np.zeros((20, 1))
    rows[0] = 3.0
    assert median_bandwidth(rows, rng) == 3.0
    assert mmd(rows, rows, rng).p_value > 0.1

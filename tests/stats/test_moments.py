from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.stats.moments import Moments

samples = hnp.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e6, 1e6, allow_subnormal=False))


def close(a: Moments, b: Moments) -> bool:
    scale = 1e12 * max(a.n, 1)  # (largest |x|)² · n bounds M2
    return (
        a.n == b.n
        and math.isclose(a.mean, b.mean, rel_tol=1e-9, abs_tol=1e-6)
        and math.isclose(a.m2, b.m2, rel_tol=1e-7, abs_tol=1e-12 * scale)
    )


@given(samples, samples)
def test_merge_equals_summarising_the_concatenation(x, y):
    assert close(Moments.of(x).merge(Moments.of(y)), Moments.of(np.concatenate([x, y])))


@given(samples, samples, samples)
def test_merge_is_a_commutative_monoid(x, y, z):
    a, b, c = map(Moments.of, (x, y, z))
    assert close(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert close(a.merge(b), b.merge(a))
    assert a.merge(Moments()) == a == Moments().merge(a)


@given(samples)
def test_moments_are_those_of_numpy(x):
    got = Moments.of(np.concatenate([x, [np.nan, np.inf, -np.inf]]))
    assert got.n == x.size
    if x.size > 1:
        assert math.isclose(got.mean, np.mean(x), rel_tol=1e-9, abs_tol=1e-6)
        assert math.isclose(got.variance, np.var(x, ddof=1), rel_tol=1e-9, abs_tol=1e-3)


def test_an_overflow_is_told():
    assert not Moments.of(np.array([1e200, -1e200])).is_finite
    assert not Moments.of(np.full(4, 1.7e308)).is_finite

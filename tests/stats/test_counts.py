"""Tests on counts: χ², two proportions, and many tests at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from monitor.stats.chi2 import chi2, pool_rare
from monitor.stats.multiplicity import benjamini_hochberg, holm
from monitor.stats.proportions import fisher_p_value, two_proportions

levels = st.integers(2, 12).flatmap(
    lambda k: st.tuples(*[hnp.arrays(np.int64, k, elements=st.integers(0, 300)).filter(lambda a: a.sum() > 0)] * 2)
)
p_values = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))


@given(levels)
def test_chi2_is_that_of_scipy(pair):
    ref, cur = pair
    held = ref + cur > 0
    table = np.array([ref[held], cur[held]])
    got = chi2(ref, cur, min_expected=0.0)
    if held.sum() == 1:
        assert got[:2] == (0.0, 1.0)
        return
    theirs = stats.chi2_contingency(table, correction=False)
    assert got.statistic == pytest.approx(theirs.statistic, abs=1e-9, rel=1e-9)
    assert got.p_value == pytest.approx(theirs.pvalue, abs=1e-9)
    assert got.effect == pytest.approx(stats.contingency.association(table, method="cramer"), abs=1e-9)


@given(levels)
def test_pooling_keeps_every_row_and_leaves_no_small_expectation(pair):
    ref, cur, _ = pool_rare(*pair, 1.0)
    assert ref.sum() == pair[0].sum()
    assert cur.sum() == pair[1].sum()
    smaller = min(ref.sum(), cur.sum()) / (ref.sum() + cur.sum())
    assert ref.size == 1 or ((ref + cur) * smaller >= 1.0 - 1e-12).all()


def test_chi2_says_what_it_pooled():
    got = chi2(np.array([500, 500, 1, 1, 1]), np.array([50, 50, 0, 1, 0]))
    assert "3 rare levels pooled" in got.detail


def test_chi2_false_alarm_rate_with_a_reference_of_the_same_size():
    rng = np.random.default_rng(4)
    shares = [0.5, 0.3, 0.15, 0.05]
    p = [chi2(*rng.multinomial(300, shares, size=2)).p_value for _ in range(2000)]
    hits = int(np.sum(np.array(p) < 0.05))
    # For level 0.05 and 2000 draws, [69, 134] holds with probability > 0.999 (binomial).
    assert 69 <= hits <= 134


def test_nothing_on_one_side_is_not_measured():
    assert chi2(np.array([0, 0]), np.array([1, 2])).p_value is None
    assert two_proportions(0, 0, 1, 2).p_value is None


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_two_proportions_is_chi2_or_fisher(a, b, c, d):
    n_ref, n_cur = a + b, c + d
    if n_ref == 0 or n_cur == 0:
        return
    got = two_proportions(a, n_ref, c, n_cur)
    assert got.effect == pytest.approx(c / n_cur - a / n_ref)
    table = [[a, b], [c, d]]
    if got.detail:
        assert got.p_value == pytest.approx(stats.fisher_exact(table).pvalue, abs=1e-6)
    elif 0 < a + c < n_ref + n_cur:
        assert got.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, abs=1e-9)
    else:
        assert got.p_value == 1.0


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_fisher_is_that_of_scipy(a, b, c, d):
    assert fisher_p_value(a, a + b, c, c + d) == pytest.approx(stats.fisher_exact([[a, b], [c, d]]).pvalue, abs=1e-6)


@given(p_values)
def test_benjamini_hochberg_is_that_of_scipy(p):
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p), abs=1e-12)


@given(p_values)
def test_holm_follows_its_step_down_definition(p):
    adjusted = holm(p)
    order = np.argsort(p, kind="stable")
    for rank, i in enumerate(order):
        wanted = max(min(1.0, (p.size - j) * p[order[j]]) for j in range(rank + 1))
        assert adjusted[i] == pytest.approx(wanted, abs=1e-12)


def test_a_test_that_was_not_taken_does_not_count():
    assert holm([0.01, np.nan, 0.5]) == pytest.approx([0.02, np.nan, 0.5], nan_ok=True)
    assert benjamini_hochberg([0.01, np.nan, 0.5]) == pytest.approx([0.02, np.nan, 0.5], nan_ok=True)
    assert holm([]).size == 0


def test_holm_controls_the_family_wise_error():
    rng = np.random.default_rng(8)
    hits = int(np.sum([(holm(rng.random(20)) <= 0.05).any() for _ in range(2000)]))
    assert 65 <= hits <= 134  # just under 0.05 of 2000 draws, with probability > 0.999

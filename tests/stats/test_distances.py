from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial import distance

from monitor.stats.bins import bin_counts, decile_edges
from monitor.stats.distances import jensen_shannon, linf, psi
from monitor.stats.wasserstein import wasserstein
from tests.stats.samples import finite_columns, summaries

pairs = st.integers(1, 12).flatmap(
    lambda k: st.tuples(*[hnp.arrays(np.int64, k, elements=st.integers(0, 500)).filter(lambda a: a.sum() > 0)] * 2)
)


@given(pairs)
def test_jensen_shannon_is_that_of_scipy(pair):
    assert jensen_shannon(*pair).statistic == pytest.approx(distance.jensenshannon(*pair, base=2), abs=1e-7)


@given(pairs)
def test_psi_is_the_symmetric_divergence_where_no_share_is_below_the_floor(pair):
    ref, cur = pair[0] + 1, pair[1] + 1
    assert psi(ref, cur).statistic == pytest.approx(
        stats.entropy(cur, ref) + stats.entropy(ref, cur), rel=1e-9, abs=1e-12
    )


@given(pairs)
def test_distances_are_symmetric_and_bounded(pair):
    for measure, top in ((psi, np.inf), (jensen_shannon, 1.0 + 1e-12), (linf, 1.0)):
        there, back = measure(*pair).statistic, measure(*pair[::-1]).statistic
        assert there == pytest.approx(back, abs=1e-12)
        assert 0.0 <= there <= top
        assert measure(pair[0], pair[0]).statistic == pytest.approx(0.0, abs=1e-7)


def test_psi_of_an_empty_bin_depends_on_the_floor_that_is_stated():
    assert psi([1000, 0], [990, 10], floor=np.finfo(float).tiny).statistic == pytest.approx(7.04, abs=0.01)
    assert psi([1000, 0], [990, 10]).statistic == pytest.approx(0.046, abs=0.001)


def test_linf_says_which_way():
    assert linf([50, 50], [80, 20]).statistic == pytest.approx(0.3)
    assert linf([10, 80, 10], [30, 40, 30]).effect == pytest.approx(-0.4)
    assert np.isnan(linf([0, 0], [1, 1]).statistic)


@given(finite_columns)
def test_bins_of_the_reference_hold_about_a_tenth_each_and_lose_nothing(ref):
    reference, profile = summaries(ref, ref)
    edges = decile_edges(reference.ecdf)
    got = bin_counts(edges, profile.upto, profile.n)
    assert got.sum() == ref.size
    assert (got > 0).all()
    assert np.array_equal(got, bin_counts(edges, reference.ecdf.upto, reference.n))


def test_ten_bins_of_a_continuous_reference():
    reference, _ = summaries(np.arange(1000.0), [])
    assert bin_counts(decile_edges(reference.ecdf), reference.ecdf.upto, 1000).tolist() == [100] * 10


@given(finite_columns, st.data())
def test_wasserstein_is_that_of_scipy_when_values_are_points_or_outside(ref, data):
    known = st.sampled_from([*ref.tolist(), ref.max() + 3.5, ref.min() - 2.0])
    cur = np.array(data.draw(st.lists(known, min_size=1, max_size=30)))
    got = wasserstein(*summaries(ref, cur))
    assert got.statistic == pytest.approx(stats.wasserstein_distance(ref, cur), rel=1e-9, abs=1e-9)


@given(finite_columns, finite_columns)
def test_wasserstein_is_within_its_stated_error(ref, cur):
    points = np.unique(ref)
    inside = [np.mean((cur > low) & (cur < high)) * (high - low) for low, high in itertools.pairwise(points)]
    got = wasserstein(*summaries(ref, cur)).statistic
    exact = stats.wasserstein_distance(ref, cur)
    assert abs(got - exact) <= sum(inside) + 1e-9 * (1 + exact)


def test_wasserstein_leaves_infinities_out_and_refuses_an_overflow():
    ref = np.array([0.0, 1.0, 2.0, np.inf])
    assert wasserstein(*summaries(ref, [0.0, 1.0, 3.0, -np.inf])).statistic == pytest.approx(1 / 3)
    assert np.isnan(wasserstein(*summaries([-1.7e308, 1.7e308], [-1.7e308, -1.7e308])).statistic)
    assert np.isnan(wasserstein(*summaries([np.inf], [1.0])).statistic)

"""Profiles are a commutative monoid, and merging chunks equals one pass over all rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import Reference, Schema

SCHEMA = Schema(features={"x": "numeric", "c": "categorical"})
REFERENCE = Reference.fit({"x": np.array([0.0, 0, 1, 2, 2.5, 4, 8, np.nan]), "c": list("aabbbccd")}, SCHEMA)

rows = st.lists(
    st.tuples(
        st.one_of(st.integers(-2, 9).map(float), st.floats(-1e3, 1e3), st.sampled_from([np.nan, np.inf, -np.inf])),
        st.one_of(st.sampled_from("abcd"), st.sampled_from("xyz"), st.none()),
    ),
    max_size=30,
)


def profile_of(drawn):
    table = {"x": np.array([x for x, _ in drawn], dtype=float), "c": np.array([c for _, c in drawn], dtype=object)}
    return REFERENCE.profile(table)


def assert_same(one, other):
    """Counts exactly, moments and sums up to rounding."""
    assert one.rows == other.rows
    a, b = one.columns["x"], other.columns["x"]
    assert np.array_equal(a.below, b.below)
    assert np.array_equal(a.upto, b.upto)
    for name in ("n", "missing", "negative_infinities", "positive_infinities", "minimum", "maximum"):
        assert getattr(a, name) == getattr(b, name)
    assert a.outside == pytest.approx(b.outside, abs=1e-9)
    assert a.moments.n == b.moments.n
    assert a.moments.mean == pytest.approx(b.moments.mean, rel=1e-9, abs=1e-9)
    assert a.moments.m2 == pytest.approx(b.moments.m2, rel=1e-9, abs=1e-6)
    c, d = one.columns["c"], other.columns["c"]
    assert np.array_equal(c.counts, d.counts)
    assert (c.missing, dict(c.unseen), c.unseen_other) == (d.missing, dict(d.unseen), d.unseen_other)


@given(rows, rows)
def test_merging_equals_one_pass(a, b):
    assert_same(profile_of(a) + profile_of(b), profile_of(a + b))


@given(rows, rows, rows)
def test_merging_is_a_commutative_monoid(a, b, c):
    a, b, c = map(profile_of, (a, b, c))
    assert_same((a + b) + c, a + (b + c))
    assert_same(a + b, b + a)
    assert_same(a + REFERENCE.empty_profile(), a)
    assert_same(REFERENCE.empty_profile() + a, a)


@given(rows, rows)
def test_measures_of_the_merged_are_those_of_the_whole(a, b):
    merged, whole = REFERENCE.compare(profile_of(a) + profile_of(b)), REFERENCE.compare(profile_of(a + b))
    for one, other in zip(merged, whole, strict=True):
        assert (one.column, one.measure, one.n_current, one.detail) == (
            other.column, other.measure, other.n_current, other.detail,
        )  # fmt: skip
        assert one.statistic == pytest.approx(other.statistic, rel=1e-9, abs=1e-12, nan_ok=True)
        assert (one.p_value is None) == (other.p_value is None)
        assert one.p_value is None or one.p_value == pytest.approx(other.p_value, rel=1e-9)


def test_unseen_levels_are_bounded_and_still_merge():
    chunks = [[(0.0, f"new{i:03d}") for i in range(start, 240, 3)] for start in range(3)]
    parts = [profile_of(chunk) for chunk in chunks]
    whole = profile_of([row for chunk in chunks for row in chunk])
    merged = parts[2] + (parts[0] + parts[1])
    assert_same(merged, whole)
    assert len(whole.columns["c"].unseen) == 100
    assert whole.columns["c"].n_unseen == 240

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.stats.merge_count import count_at

values = st.one_of(st.integers(-5, 5).map(float), st.floats(allow_nan=False))


@given(
    hnp.arrays(np.float64, st.integers(0, 60), elements=values),
    hnp.arrays(np.float64, st.integers(0, 60), elements=values),
)
def test_counts_are_those_of_a_binary_search(points, batch):
    points, batch = np.unique(points), np.sort(batch)
    below, upto = count_at(points, batch)
    assert np.array_equal(below, batch.searchsorted(points, side="left"))
    assert np.array_equal(upto, batch.searchsorted(points, side="right"))


@pytest.mark.parametrize(("n_points", "n_values"), [(1000, 10), (1000, 1000), (10, 1000), (1000, 130), (130, 1000)])
def test_every_ratio_of_lengths_gives_the_same_counts(n_points, n_values):
    rng = np.random.default_rng(1)
    points = np.unique(rng.integers(0, 3000, n_points).astype(float))
    batch = np.sort(rng.integers(0, 3000, n_values).astype(float))
    below, upto = count_at(points, batch)
    assert np.array_equal(below, batch.searchsorted(points, side="left"))
    assert np.array_equal(upto, batch.searchsorted(points, side="right"))

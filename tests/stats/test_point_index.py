from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.stats.merge_count import count_at
from monitor.stats.point_index import PointIndex

numbers = st.one_of(
    st.integers(-5, 5).map(float), st.floats(allow_nan=False), st.floats(-1, 1), st.sampled_from([np.inf, -np.inf])
)
arrays = hnp.arrays(np.float64, st.integers(0, 60), elements=numbers)


def agree(points, values):
    got, wanted = PointIndex.of(points).count(values), count_at(points, np.sort(values))
    return all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))


@given(arrays.map(np.unique), arrays)
def test_counts_are_those_of_searching_sorted_values(points, values):
    assert agree(points, values)
    with np.errstate(over="ignore", under="ignore"):
        neighbours = [np.nextafter(points, np.inf), np.nextafter(points, -np.inf)]
    assert agree(points, np.concatenate([values, points, *neighbours]))


@pytest.mark.parametrize("kind", ["normal", "tied", "outlier", "crowded", "heavy", "tiny", "huge"])
def test_counts_of_long_columns(kind):
    rng = np.random.default_rng(1)
    draw = {
        "normal": rng.standard_normal,
        "tied": lambda n: rng.integers(0, 500, n) / 10,
        "outlier": lambda n: np.append(rng.standard_normal(n - 1), 1e9),
        "crowded": lambda n: np.where(rng.random(n) < 0.1, rng.standard_normal(n) * 1e-9, rng.standard_normal(n)),
        "heavy": lambda n: rng.lognormal(0, 4, n),
        "tiny": lambda n: rng.standard_normal(n) * 1e-310,
        "huge": lambda n: rng.uniform(-1, 1, n) * 1.7e308,
    }[kind]
    points = np.unique(draw(10_000))
    assert agree(points, draw(40_000))
    assert agree(points, points)
    assert agree(points, points[:3])


def test_evenly_spaced_points_are_not_sorted_for_and_very_uneven_ones_are():
    rng = np.random.default_rng(2)
    assert PointIndex.of(np.sort(rng.standard_normal(10_000))).steps in (1, 2, 3)
    assert PointIndex.of(np.array([7.0])).steps == 1
    assert PointIndex.of(np.sort(rng.lognormal(0, 4, 10_000))).steps == 0

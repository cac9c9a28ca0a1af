"""The four default selections, and what every selection owes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.retraining import RetrainConfig
from monitor.domain.candidates import select
from monitor.domain.selection.recency import by_recency
from monitor.errors import DataError
from tests.domain.selection.pools import pool

DEFAULTS = RetrainConfig().candidates
pools = st.builds(pool, st.integers(1, 300), st.integers(1, 400))


@given(st.sampled_from(DEFAULTS), pools)
def test_rows_are_in_order_and_the_newest_is_among_them(name, labelled):
    chosen = select(name, labelled)
    assert (np.diff(chosen.rows) > 0).all()
    assert chosen.rows[-1] == labelled.n - 1
    assert chosen.weights is None or (len(chosen.weights) == len(chosen.rows) and (chosen.weights >= 0).all())


@pytest.mark.parametrize(
    ("name", "rows"), [("all", 1000), ("recent_1x", 200), ("recent_half", 100), ("weighted", 1000)]
)
def test_windows_are_counted_in_rows_of_the_first_training_set(name, rows):
    assert len(select(name, pool(1000, 200)).rows) == rows


def test_a_weight_halves_every_half_of_the_first_training_set():
    weights = select("weighted", pool(1000, 200)).weights
    assert weights[-1] == 1.0
    assert weights[-101] == pytest.approx(0.5)
    assert weights[-301] == pytest.approx(0.125)


def test_the_same_rows_and_weights_have_the_same_digest():
    few = pool(50, 200)
    assert select("all", few).digest == select("recent_1x", few).digest
    assert select("all", few).digest != select("weighted", few).digest
    assert select("all", few).digest != select("all", pool(49, 200)).digest


def test_a_name_that_does_not_exist_is_named():
    with pytest.raises(DataError, match="unknown candidate 'newest'"):
        select("newest", pool(1, 10))


def test_a_half_life_must_be_positive():
    with pytest.raises(ValueError, match="half-life of 0 rows"):
        by_recency(10, 0)

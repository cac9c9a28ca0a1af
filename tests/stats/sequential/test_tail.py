from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor.stats.sequential.tail import LargestValues, bonferroni_p, empirical_p


@pytest.mark.parametrize(("name", "draw"), [
    ("normal", lambda rng, n: np.abs(rng.standard_normal(n))),
    ("t3", lambda rng, n: np.abs(rng.standard_t(3, n))),
])  # fmt: skip
def test_rare_values_are_called_rare_about_as_often_as_they_should(name, draw):
    rng = np.random.default_rng(31)
    level, hits, judged = 0.01, 0, 0
    for _ in range(60):
        past = LargestValues.start()
        for value in draw(rng, 300):
            if past.count >= 60:
                hits += empirical_p(past, value) <= level
                judged += 1
            past = past.add(float(value))
    assert (
        stats.binomtest(hits, judged, 2.0 * level, alternative="greater").pvalue > 1e-3
    )  # twice: the index is estimated


def test_an_outlier_far_beyond_the_past_is_rare():
    rng = np.random.default_rng(32)
    past = LargestValues.start()
    for value in np.abs(rng.standard_normal(200)):
        past = past.add(float(value))
    assert empirical_p(past, 12.0) < 1e-4
    assert empirical_p(past, 0.1) > 0.1


def test_nothing_is_rare_before_there_is_a_past():
    assert empirical_p(LargestValues.start(), 100.0) == 1.0


def test_equal_values_have_the_probability_of_their_rank():
    past = LargestValues.start()
    for _ in range(30):
        past = past.add(2.0)
    assert empirical_p(past, 2.0) >= 0.5
    assert empirical_p(past, 3.0) == 1 / 31


def test_bonferroni_bounds_the_exact_probability_of_independent_scores():
    for z in (2.0, 3.0, 4.0):
        exact = 1 - (1 - 2 * stats.norm.sf(z)) ** 40
        assert exact <= bonferroni_p(z, 40) <= min(1.0, 40 * 2 * stats.norm.sf(z) * (1 + 1e-12))

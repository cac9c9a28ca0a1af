from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from monitor.stats.multivariate.reconstruction import reconstruction_shift


def correlated(rng, n, columns=10, factors=3):
    """Rows near a subspace: the same loadings whatever the generator."""
    loadings = np.random.default_rng(0).normal(size=(factors, columns))
    return (rng.normal(size=(n, factors)) @ loadings + 0.3 * rng.normal(size=(n, columns))).astype(np.float32)


def test_the_statistic_is_that_of_sklearns_components():
    rng = np.random.default_rng(1)
    ref, cur = correlated(rng, 400), correlated(rng, 300) * 1.2
    fitted = PCA(0.65, svd_solver="full").fit(ref[::2].astype(np.float64))

    def errors(rows):
        left = rows - fitted.inverse_transform(fitted.transform(rows.astype(np.float64)))
        return np.sqrt(np.mean(left**2, axis=1))

    got = reconstruction_shift(ref, cur)
    assert got.detail == f"{fitted.n_components_} of 10 components"
    assert got.statistic == pytest.approx(errors(cur).mean() / errors(ref[1::2]).mean(), rel=1e-3)


def test_false_alarm_rate_and_power():
    rng = np.random.default_rng(2)
    null = [reconstruction_shift(correlated(rng, 200), correlated(rng, 100)).p_value for _ in range(600)]
    # For level 0.05 and 600 draws, [14, 50] holds with probability > 0.999 (binomial).
    assert 14 <= int(np.sum(np.array(null) < 0.05)) <= 50
    found = []
    for _ in range(50):
        cur = correlated(rng, 200)
        rng.shuffle(cur[:, 4])  # the column keeps its distribution and loses its dependence on the others
        found.append(reconstruction_shift(correlated(rng, 400), cur, explained=0.9))
    assert sum(f.p_value < 0.01 and f.effect > 0 and f.statistic > 1 for f in found) >= 48


@pytest.mark.parametrize(("n", "m", "columns"), [(0, 5, 3), (3, 5, 3), (5, 0, 3), (5, 5, 0)])
def test_too_little_is_not_measured(n, m, columns):
    got = reconstruction_shift(np.zeros((n, columns), np.float32), np.zeros((m, columns), np.float32))
    assert got.p_value is None


def test_constant_rows():
    same, other = np.ones((20, 3), np.float32), np.full((20, 3), 2.0, np.float32)
    assert reconstruction_shift(same, same)[:3] == (1.0, 1.0, 0.0)
    moved = reconstruction_shift(same, other)
    assert moved.statistic == np.inf
    assert moved.p_value < 1e-4
    one = np.random.default_rng(3).normal(size=(40, 1)).astype(np.float32)
    assert reconstruction_shift(one, one).detail == "0 of 1 components"

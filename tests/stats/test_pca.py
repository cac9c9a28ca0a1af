from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from monitor.stats.pca import Pca


@pytest.mark.parametrize("shape", [(300, 12), (40, 200), (3000, 64)])
def test_components_are_those_of_sklearn(shape):
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=shape) * np.linspace(3, 0.5, shape[1])).astype(np.float32)
    got, theirs = Pca.of(rows), PCA(8, svd_solver="full").fit(rows.astype(np.float64))
    assert np.abs(got.components @ theirs.components_.T) == pytest.approx(np.eye(8), abs=2e-3)
    reduced = got.reduce(rows)
    back = theirs.inverse_transform(theirs.transform(rows))
    assert reduced["residual"] == pytest.approx(np.sqrt(np.mean((rows - back) ** 2, axis=1)), rel=1e-3)
    assert reduced["mean"] == pytest.approx(rows.mean(axis=1), abs=1e-5)


def test_wide_rows_are_thinned_and_keep_their_leading_direction():
    rng = np.random.default_rng(1)
    direction = rng.normal(size=3000)
    direction /= np.linalg.norm(direction)
    rows = (np.outer(rng.normal(size=2500) * 50, direction) + rng.normal(size=(2500, 3000))).astype(np.float32)
    assert abs(Pca.of(rows).components[0] @ direction) > 0.97


def test_degenerate_rows():
    constant = Pca.of(np.ones((30, 5), np.float32))
    assert constant.components.shape == (0, 5)
    assert constant.reduce(np.ones((3, 5), np.float32))["residual"].tolist() == [0.0, 0.0, 0.0]
    missing = Pca.of(np.full((4, 3), np.nan, np.float32))
    assert missing.components.shape == (0, 3)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 3)).astype(np.float32)
    fitted = Pca.of(rows)
    assert fitted.components.shape == (3, 3)
    rows[7] = np.nan
    reduced = fitted.reduce(rows)
    assert all(np.isnan(values[7]) and np.isfinite(np.delete(values, 7)).all() for values in reduced.values())
    assert all(values.shape == (0,) for values in fitted.reduce(rows[:0]).values())

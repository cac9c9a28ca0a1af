"""Expected metrics against the mean over labels drawn, and their slopes against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.stats.estimation.expected import expected
from monitor.stats.performance import metric

NAMES = ("accuracy", "roc_auc", "average_precision", "f1", "log_loss", "brier")


def drawn(rng: np.random.Generator, posterior: np.ndarray) -> np.ndarray:
    return (rng.random((len(posterior), 1)) > np.cumsum(posterior, axis=1)).sum(axis=1)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_mean_over_the_labels_that_could_come(name: str, classes: int):
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(classes), 400).round(1)  # with ties
    posterior = rng.dirichlet(np.ones(classes), 400)
    seen = [metric(name, scores, drawn(rng, posterior)) for _ in range(1500)]
    found = expected(name, scores, posterior)
    error = np.std(seen) / math.sqrt(len(seen))
    assert found.value == pytest.approx(np.mean(seen), abs=4 * error + 0.002)  # ratios are biased by about 1/400
    assert found.sampling_variance(posterior) == pytest.approx(np.var(seen), rel=0.2)


@given(st.integers(0, 2**32 - 1), st.sampled_from(NAMES), st.integers(2, 4))
def test_the_slope_is_the_derivative(seed: int, name: str, classes: int):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(classes), 8).round(1)
    posterior, step = rng.dirichlet(np.ones(classes), 8), 1e-6
    move = rng.normal(size=posterior.shape)
    move -= move.mean(axis=1, keepdims=True)  # rows still sum to 1
    found = expected(name, scores, posterior)
    up, down = (expected(name, scores, posterior + way * step * move).value for way in (1, -1))
    assert (found.slope * move).sum() == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_labels_that_are_certain_give_the_realised_metric(name: str):
    rng = np.random.default_rng(1)
    scores, labels = rng.dirichlet([1.0, 1.0, 1.0], 50).round(2), rng.integers(0, 3, 50)
    found = expected(name, scores, np.eye(3)[labels])
    assert found.value == pytest.approx(metric(name, scores, labels))
    assert found.sampling_variance(np.eye(3)[labels]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_without_rows_nothing_is_expected(name: str):
    found = expected(name, np.zeros((0, 2)), np.zeros((0, 2)))
    assert math.isnan(found.value)
    assert found.sampling_variance(np.zeros((0, 2))) == 0.0


def test_one_kind_of_rows_cannot_be_ranked():
    one = np.tile([0.0, 1.0], (5, 1))
    assert math.isnan(expected("roc_auc", one, one).value)
    assert math.isnan(expected("average_precision", one, 1 - one).value)


def test_an_unknown_metric_is_refused():
    with pytest.raises(KeyError):
        expected("mae", np.ones((1, 2)), np.ones((1, 2)))

"""A row of weight w is the row w times; scikit-learn's weights are the independent implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from monitor.stats.performance import metric
from monitor.stats.weighted_performance import weighted_metric

CLASSES = ("accuracy", "log_loss", "brier", "f1", "roc_auc", "average_precision")
VALUES = ("mae", "rmse")


def drawn(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    up = np.round(rng.random(n), 1)  # with ties
    return np.column_stack([1 - up, up]), rng.integers(0, 2, n), rng.normal(size=n), rng.integers(0, 4, n)


@pytest.mark.parametrize("name", [*CLASSES, *VALUES])
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_a_row_of_weight_w_is_the_row_w_times(name, seed, n):
    scores, target, values, times = drawn(seed, n)
    first, second = (values, values[::-1] * 2) if name in VALUES else (scores, target)
    found = weighted_metric(name, first, second, times.astype(float))
    again = np.repeat(np.arange(n), times)
    expected = metric(name, first[again], second[again])
    assert found == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_against_scikit_learn():
    scores, target, _, _ = drawn(3, 200)
    weights = np.random.default_rng(4).gamma(1.0, size=200)
    up = scores[:, 1]
    expected = {
        "roc_auc": metrics.roc_auc_score(target, up, sample_weight=weights),
        "average_precision": metrics.average_precision_score(target, up, sample_weight=weights),
        "f1": metrics.f1_score(target, scores.argmax(axis=1), sample_weight=weights),
        "accuracy": metrics.accuracy_score(target, scores.argmax(axis=1), sample_weight=weights),
    }
    for name, value in expected.items():
        assert weighted_metric(name, scores, target, weights) == pytest.approx(value)


def test_without_weight_nothing_is_known():
    scores, target, _, _ = drawn(3, 5)
    assert math.isnan(weighted_metric("accuracy", scores, target, np.zeros(5)))
    with pytest.raises(KeyError):
        weighted_metric("none", scores, target, np.ones(5))

"""Skill against the definition, pair by pair, and what it must be for labels that belong to other rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.stats.losses import absolute_error, log_loss
from monitor.stats.skill import absolute_error_at_random, class_spread, log_loss_at_random, skill, value_spread

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30)


@given(values, st.randoms(use_true_random=False))
def test_the_absolute_error_at_random_is_the_mean_over_all_pairs(predicted, random):
    target = np.array(random.sample(predicted, len(predicted))) + random.uniform(-1, 1)
    pairs = np.abs(np.subtract.outer(np.array(predicted), target))
    assert absolute_error_at_random(np.array(predicted), target) == pytest.approx(pairs.mean(), abs=1e-9)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 25))
def test_the_log_loss_at_random_is_the_mean_over_all_pairs(seed, classes, rows):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(classes, 0.3), rows)
    target = rng.integers(-1, classes, rows)  # −1: a class that the model does not know
    pairs = [log_loss(scores, np.full(rows, label)).mean() for label in target]
    assert log_loss_at_random(scores, target) == pytest.approx(np.mean(pairs))


def test_labels_of_other_rows_leave_no_skill_and_true_ones_do():
    rng = np.random.default_rng(1)
    predicted = rng.gamma(2.0, 100.0, 5000)
    target = predicted + rng.normal(0, 30, 5000)
    at_random = absolute_error_at_random(predicted, target)
    assert skill(float(absolute_error(predicted, target).mean()), at_random) > 0.8
    dealt = float(absolute_error(predicted, rng.permutation(target)).mean())
    assert abs(skill(dealt, at_random)) < 0.05


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_the_labels_does_not_matter(scale):
    predicted, target = np.array([1.0, 2.0, 4.0]), np.array([1.5, 2.0, 3.0])
    before = skill(0.5, absolute_error_at_random(predicted, target))
    assert skill(0.5 * scale, absolute_error_at_random(scale * predicted, scale * target)) == pytest.approx(before)


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=20))
def test_the_spread_is_that_of_all_pairs(labels):
    target = np.array(labels)
    assert class_spread(target) == pytest.approx((target[:, None] != target).mean(), abs=1e-12)
    assert value_spread(target.astype(float)) == pytest.approx(np.abs(target[:, None] - target).mean(), abs=1e-12)


def test_without_rows_or_without_differences_there_is_no_skill_to_speak_of():
    assert math.isnan(absolute_error_at_random(np.empty(0), np.empty(0)))
    assert math.isnan(log_loss_at_random(np.empty((0, 2)), np.empty(0, np.int64)))
    assert math.isnan(class_spread(np.empty(0, np.int64)))
    same = np.full(5, 3.0)
    assert math.isnan(skill(0.0, absolute_error_at_random(same, same)))

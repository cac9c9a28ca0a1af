"""The test that labels of two groups have one distribution: its level, its power, its edges."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.stats.two_groups import same_labels


def p_values(shift: float, classes: int, draws: int = 400) -> np.ndarray:
    rng = np.random.default_rng([int(100 * shift), classes])
    found = []
    for _ in range(draws):
        if classes:
            one, other = rng.random(300) < 0.3, rng.random(120) < 0.3 + shift
            found.append(same_labels(one.astype(np.int64), other.astype(np.int64), classes))
        else:
            found.append(same_labels(rng.normal(0, 1, 300), rng.normal(shift, 1, 120), classes))
    return np.array(found, dtype=np.float64)


@pytest.mark.parametrize("classes", [0, 2])
def test_it_keeps_its_level(classes):
    hits = int((p_values(0.0, classes) < 0.05).sum())
    assert hits <= 36  # 400 draws at 0.05: more than 36 with probability below 0.0005 (binomial)


@pytest.mark.parametrize(("classes", "shift"), [(0, 0.5), (2, 0.2)])
def test_it_sees_labels_that_part(classes, shift):
    hits = int((p_values(shift, classes, draws=100) < 0.05).sum())
    assert hits >= 85  # known power above 0.93 in both cases


def test_an_empty_group_is_not_compared_and_an_unknown_class_is_one_of_its_own():
    some = np.array([0, 1, 1, -1] * 40)
    assert same_labels(some, some[:0], 2) is None
    assert same_labels(some, some, 2) == pytest.approx(1.0)
    assert same_labels(some, np.abs(some), 2) < 0.001

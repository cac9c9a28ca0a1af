"""The calibration check keeps its level while nothing changes, and sees what changes."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.stats.calibration import softmax
from monitor.stats.calibration_drift import calibration_drift
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.result import UNMEASURED


def drawn(rng: np.random.Generator, rows: int, classes: int, sharper: float = 1.0, bias: float = 0.0):
    """Scores of an overconfident model; labels from the true probabilities, which a change makes sharper or moves."""
    logits = rng.normal(size=(rows, classes))
    true = softmax(sharper * logits + bias * np.eye(classes)[0])
    return softmax(2.0 * logits), (rng.random((rows, 1)) > np.cumsum(true, axis=1)).sum(axis=1)


@pytest.mark.parametrize("classes", [2, 4])
def test_it_rejects_five_in_a_hundred_while_nothing_changes(classes: int):
    rng = np.random.default_rng(0)
    found = [
        calibration_drift(LabelShift.fit(*drawn(rng, 500, classes)), *drawn(rng, 400, classes)).p_value
        for _ in range(400)
    ]
    # For level 0.05 and 400 draws, [8, 34] holds with probability > 0.999 (binomial).
    assert 8 <= sum(p < 0.05 for p in found) <= 34


@pytest.mark.parametrize(("sharper", "bias"), [(0.5, 0.0), (1.0, 0.8)])
def test_it_sees_scores_that_are_too_sure_and_classes_that_are_more_frequent(sharper: float, bias: float):
    rng = np.random.default_rng(1)
    found = calibration_drift(LabelShift.fit(*drawn(rng, 2000, 3)), *drawn(rng, 1000, 3, sharper, bias))
    assert found.p_value < 1e-4
    if bias:
        assert (found.detail, found.effect < -0.05) == ("0", True)  # said less often than it is


def test_few_rows_and_unknown_classes_say_nothing():
    rng = np.random.default_rng(2)
    shift = LabelShift.fit(*drawn(rng, 200, 2))
    scores, _ = drawn(rng, 100, 2)
    assert calibration_drift(shift, scores, np.full(100, -1)) == UNMEASURED
    assert calibration_drift(shift, scores[:20], np.zeros(20, dtype=int)) == UNMEASURED

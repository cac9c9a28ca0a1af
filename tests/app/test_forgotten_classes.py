"""Labels of classes that the model has forgotten say nothing about whether labels can be trusted."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from monitor.app.judge import WindowMeasured, measure_window
from monitor.config.detection import PerformanceConfig

KNOWN = ("a", "b")


def measured(labels: list[str], forgotten: set[str]) -> WindowMeasured:
    """Of a model that knows two classes, is nine parts sure, and right about both."""
    sure = [label == "a" for label in labels]
    scores = np.array([[0.9, 0.1] if yes else [0.1, 0.9] for yes in sure])
    ids = [f"row {i}" for i in range(len(labels))]
    scored = pa.table({"id": ids})
    given = pa.table({"id": ids, "label": labels})
    config = PerformanceConfig(metric="accuracy")
    return measure_window(scored, scores, given, classes=KNOWN, forgotten=forgotten, id_column="id", config=config)


def test_rows_of_a_forgotten_class_leave_the_skill_as_it_is_and_count_for_the_rest():
    usual = measured(["a", "b"] * 50, set())
    seen = measured(["a", "b"] * 50 + ["c"] * 60, {"c"})
    assert seen.fit.skill == pytest.approx(usual.fit.skill) and usual.fit.skill > 0.5
    assert seen.estimate.value == pytest.approx(100 / 160)
    assert seen.loss.n == 160 and seen.loss.mean > usual.loss.mean


def test_a_window_mostly_of_forgotten_classes_tells_nothing():
    assert math.isnan(measured(["a"] * 20 + ["c"] * 60, {"c"}).fit.skill)


def test_a_class_that_nobody_has_known_counts_against_the_labels():
    """They may be coded in another way."""
    assert measured(["a"] * 20 + ["c"] * 60, {"d"}).fit.skill < 0.1

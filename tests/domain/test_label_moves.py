"""The shares of the classes under the rule `per_batch`."""

from __future__ import annotations

import pytest

from monitor.domain.detection.per_batch import PerBatchRule, PriorSeen, judge_labels

RULE = PerBatchRule(alpha=0.01, min_effect=0.05, min_loss_increase=0.1, hold=1, min_rows=30)


@pytest.mark.parametrize("noise", [-1e-15, 0.0, 1e-15])
def test_of_two_classes_that_moved_alike_the_first_is_named_first_whatever_the_rounding(noise: float):
    estimate = {"a": (0.4 + noise, 0.35, 0.45), "b": (0.6, 0.55, 0.65)}
    seen = PriorSeen(p_value=1e-6, condition=2.0, reason="", reference={"a": 0.6, "b": 0.4}, estimate=estimate)
    verdict, _ = judge_labels(seen, 100, RULE, 0)
    assert [column.name for column in verdict.columns] == ["a", "b"]
    assert verdict.shift == pytest.approx(-0.2)

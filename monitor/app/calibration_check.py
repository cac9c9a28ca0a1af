"""Whether the calibration that a version's estimates rest on still holds, now that labels of a window are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.app.judge import LabelledScores
from monitor.domain.model_reference import ModelReference
from monitor.stats.calibration_drift import calibration_drift


def see_calibration(reference: ModelReference, labelled: LabelledScores, record: Mapping[str, Any]) -> float | None:
    """P-value that probabilities made from the scores are as often right as they say.

    None for regression, for too few rows, and where corrected scores were served: those are kept, not the model's.
    """
    if reference.label_shift is None or record["prior_corrected"]:
        return None
    return calibration_drift(reference.label_shift, labelled.scores, labelled.target).p_value

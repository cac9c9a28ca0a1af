"""Rows count as much as they look like those of now: for inputs that moved while their relation to labels stayed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain.encoding import encode
from monitor.domain.schema import Schema
from monitor.domain.selection.selection import Selection, Weights
from monitor.errors import DataError
from monitor.stats.multivariate.classifier import classifier_test

_LEAST_EFFECTIVE = 0.1  # of the rows; below it a handful of rows would decide everything


def by_importance(table: Any, current: Any | None, schema: Schema, rng: np.random.Generator) -> Selection:
    """All rows, weighted by the density ratio current/training that a classifier finds (`classifier_test`).

    Raises DataError without current rows, when there are too few to tell, and when the weights leave fewer than 10% of
    the rows effective: then the current inputs hardly occur among the labelled rows.
    """
    if current is None:
        raise DataError("there are no current rows to compare with")
    encoded = encode(table, current, schema)
    shift = classifier_test(encoded.ref, encoded.cur, encoded.groups, rng)
    if math.isnan(shift.result.statistic):
        raise DataError(f"{len(encoded.cur)} current rows are too few to tell what they look like")
    effective = effective_rows(shift.weights)
    share = effective / len(shift.weights)
    if share < _LEAST_EFFECTIVE:
        raise DataError(
            f"effective sample size {effective:.0f} of {len(shift.weights)} rows ({share:.1%}), "
            f"need {_LEAST_EFFECTIVE:.0%}: rows like the current ones hardly occur among the labelled ones"
        )
    facts = {"effective_rows": effective, "auc": float(shift.result.statistic)}
    return Selection(np.arange(len(shift.weights)), shift.weights, facts)


def effective_rows(weights: Weights | npt.NDArray[np.float64]) -> float:
    """(Σw)²/Σw²: rows of equal weight that would say as much [1]_; 0 when all weights are 0.

    References
    ----------
    .. [1] Kish (1965), Survey Sampling, section 11.7.
    """
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0

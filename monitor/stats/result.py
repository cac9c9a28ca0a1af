"""What a two-sample measure returns."""

from __future__ import annotations

import math
from typing import NamedTuple


class Result(NamedTuple):
    """Numbers about two samples; never a verdict.

    `effect` is on the scale that the measure's own function documents; it is what a minimum effect is held against.
    `p_value` None: the measure has none, or could not be taken. `statistic` NaN: it could not be taken.
    """

    statistic: float = math.nan
    p_value: float | None = None
    effect: float = math.nan
    detail: str = ""


UNMEASURED = Result()  # too few rows, or an overflow

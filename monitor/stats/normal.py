"""p-values by the normal approximation."""

from __future__ import annotations

import math

from scipy import special

_ROUNDING = 1e-12  # of a mean of ranks


def two_sided_p_value(gap: float, variance: float) -> float:
    """P(|Z| ≥ |gap|/sd). Without variance: 1 for no gap (to rounding), else 0."""
    if variance <= 0.0:
        return 1.0 if abs(gap) < _ROUNDING else 0.0
    return float(2.0 * special.ndtr(-abs(gap) / math.sqrt(variance)))

"""Further distances between two rows of shares; for PSI, Jensen–Shannon and L∞ see `distances`."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from monitor.stats.distances import shares
from monitor.stats.result import UNMEASURED, Result

KL_FLOOR = 1e-4  # smallest reference share: an empty reference level makes the divergence infinite


def kullback_leibler(ref: npt.ArrayLike, cur: npt.ArrayLike, floor: float = KL_FLOOR) -> Result:
    """Σ c·ln(c/r) of the current shares from the reference's, r raised to `floor`; in nats, the effect the same."""
    r, c = shares(ref), shares(cur)
    if r is None or c is None:
        return UNMEASURED
    held = c > 0
    divergence = float((c[held] * np.log(c[held] / np.maximum(r[held], floor))).sum())
    return Result(divergence, None, divergence)


def hellinger(ref: npt.ArrayLike, cur: npt.ArrayLike) -> Result:
    """√(1 − Σ √(r·c)), in [0, 1]; the effect the same."""
    r, c = shares(ref), shares(cur)
    if r is None or c is None:
        return UNMEASURED
    distance = float(np.linalg.norm(np.sqrt(r) - np.sqrt(c)) / math.sqrt(2))
    return Result(distance, None, distance)


def total_variation(ref: npt.ArrayLike, cur: npt.ArrayLike) -> Result:
    """½ Σ |c − r|: the share of rows that would have to move, in [0, 1]; the effect the same."""
    r, c = shares(ref), shares(cur)
    if r is None or c is None:
        return UNMEASURED
    distance = float(np.abs(c - r).sum() / 2)
    return Result(distance, None, distance)

"""Distances between two rows of shares over the same bins or levels."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from monitor.stats.result import UNMEASURED, Result

Array = npt.NDArray[np.float64]

PSI_FLOOR = 1e-4  # smallest share; with a tiny one a single empty bin decides: 1% of mass would score 7


def shares(counts: npt.ArrayLike) -> Array | None:
    """Counts as shares of their sum; None when there is none."""
    array = np.asarray(counts, dtype=np.float64)
    total = float(array.sum())
    return array / total if total > 0 else None


def psi(ref: npt.ArrayLike, cur: npt.ArrayLike, floor: float = PSI_FLOOR) -> Result:
    """Population stability index Σ (c − r)·ln(c/r) of two rows of counts, shares below `floor` raised to it.

    The shares are not renormalised after the floor. The effect is the index itself.
    """
    r, c = shares(ref), shares(cur)
    if r is None or c is None:
        return UNMEASURED
    r, c = np.maximum(r, floor), np.maximum(c, floor)
    index = float(((c - r) * np.log(c / r)).sum())
    return Result(index, None, index)


def jensen_shannon(ref: npt.ArrayLike, cur: npt.ArrayLike) -> Result:
    """Jensen–Shannon distance: square root of the divergence in bits, in [0, 1]. Needs no smoothing."""
    r, c = shares(ref), shares(cur)
    if r is None or c is None:
        return UNMEASURED
    middle = (r + c) / 2
    divergence = (_relative_entropy(r, middle) + _relative_entropy(c, middle)) / 2
    distance = math.sqrt(max(divergence, 0.0))
    return Result(distance, None, distance)


def linf(ref: npt.ArrayLike, cur: npt.ArrayLike) -> Result:
    """Largest change of one share, in [0, 1]; the effect keeps its sign (positive: more of it now)."""
    r, c = shares(ref), shares(cur)
    if r is None or c is None or r.size == 0:
        return UNMEASURED
    change = c - r
    largest = float(change[np.argmax(np.abs(change))])
    return Result(abs(largest), None, largest)


def _relative_entropy(p: Array, q: Array) -> float:
    held = p > 0
    return float((p[held] * np.log2(p[held] / q[held])).sum())

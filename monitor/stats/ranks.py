"""Ranks with ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def mid_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1-based ranks, shape (n,); equal values share the mean of theirs. No NaN."""
    ordered = np.sort(values)
    ranks: npt.NDArray[np.float64] = (ordered.searchsorted(values) + ordered.searchsorted(values, side="right") + 1) / 2
    return ranks

"""Bins of a numeric reference, chosen from its points, and counts in them from cumulative counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.stats.ecdf import Ecdf
from monitor.stats.merge_count import Counts

BINS = 10  # deciles of the reference, the custom for PSI


def decile_edges(ref: Ecdf, bins: int = BINS) -> npt.NDArray[np.int64]:
    """Indices of the points that close a bin, the last bin left open: fewer than `bins` − 1 when values repeat."""
    if ref.n == 0:
        return np.zeros(0, dtype=np.int64)
    wanted = ref.n * np.arange(1, bins) / bins
    edges = np.unique(ref.upto.searchsorted(wanted))
    return edges[edges < ref.points.size - 1]


def bin_counts(edges: npt.NDArray[np.int64], upto: Counts, n: int) -> Counts:
    """Values in (−inf, e_1], (e_1, e_2], …, (e_k, inf), from `upto` at the points and the number n of all values."""
    return np.diff(np.concatenate(([0], upto[edges], [n])))

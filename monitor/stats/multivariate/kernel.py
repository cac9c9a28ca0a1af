"""The Gaussian (RBF) kernel k(x, y) = exp(−|x − y|²/(2σ²)), exactly and by random features."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

Rows = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

_MEDIAN_ROWS = 1000  # of how many rows all distances are taken: half a million of them


def median_bandwidth(rows: Rows, rng: np.random.Generator) -> float:
    """σ: the median distance between two of the rows (n, d), of a sample when there are many [1]_.

    When more than half of the distances are 0, the mean of the others; 0 when all rows are equal.

    References
    ----------
    .. [1] Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012), JMLR 13, 723-773, section 8.
    """
    if rows.shape[0] > _MEDIAN_ROWS:
        rows = rows[rng.choice(rows.shape[0], _MEDIAN_ROWS, replace=False)]
    distances = pdist(rows)
    median = float(np.median(distances)) if distances.size else 0.0
    if median > 0:
        return median
    apart = distances[distances > 0]
    return float(apart.mean()) if apart.size else 0.0


def gaussian(block: Rows, rows: Rows, bandwidth: float) -> Matrix:
    """Kernel of `block` (b, d) with `rows` (n, d): shape (b, n), in single precision."""
    squared = np.square(block).sum(axis=1)[:, None] + np.square(rows).sum(axis=1)[None, :] - 2 * (block @ rows.T)
    exponent: Matrix = (np.maximum(squared, 0.0) * (-0.5 / bandwidth**2)).astype(np.float32)
    np.exp(exponent, out=exponent)
    return exponent


def random_features(rows: Rows, bandwidth: float, count: int, rng: np.random.Generator) -> Matrix:
    """φ (n, count) of unit length with E⟨φ(x), φ(y)⟩ = k(x, y) [1]_: cosines and sines of count/2 random directions.

    References
    ----------
    .. [1] Rahimi, Recht (2007), NIPS 20, algorithm 1; in pairs: Sutherland, Schneider (2015), UAI, arXiv 1506.02785.
    """
    directions = rng.standard_normal((rows.shape[1], count // 2)).astype(np.float32) / np.float32(bandwidth)
    angles = rows.astype(np.float32) @ directions
    features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    features *= np.float32(1 / math.sqrt(count // 2))
    return features

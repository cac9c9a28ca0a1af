"""Maximum mean discrepancy: the distance of two samples as seen by a Gaussian kernel."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from monitor.stats.multivariate.kernel import Rows, gaussian, median_bandwidth, random_features
from monitor.stats.result import UNMEASURED, Result

Array = npt.NDArray[np.float64]
Signs = npt.NDArray[np.float32]

EXACT_ROWS = 4000  # both samples together; beyond it the kernel is approximated by random features
PERMUTATIONS = 200
FEATURES = 512
_BLOCK = 1024  # rows of the kernel matrix that are held at a time
_MIN_ROWS = 2  # per sample: the unbiased estimate leaves the diagonal out


def mmd(
    ref: Rows,
    cur: Rows,
    rng: np.random.Generator,
    *,
    permutations: int = PERMUTATIONS,
    exact_rows: int = EXACT_ROWS,
    features: int = FEATURES,
) -> Result:
    """Unbiased MMD² of `ref` (n, d) and `cur` (m, d), finite and scaled, with σ the median distance [1]_.

    The p-value is that of a permutation test, (1 + how many permutations reach the statistic)/(1 + permutations): it
    is valid for every n and m. One product of the kernel matrix with the 0/1 vectors of all permutations gives all
    their statistics. Beyond `exact_rows` random features stand for the kernel; the test stays valid, for the features
    are drawn without looking at which row is of which sample. The effect is MMD, 0 when the estimate is negative.

    Not measured with fewer than two rows in either sample. All rows equal: 0 with p = 1.

    References
    ----------
    .. [1] Gretton, Borgwardt, Rasch, Schölkopf, Smola (2012), JMLR 13, 723-773: lemma 6, equation 3.
    """
    n, m = ref.shape[0], cur.shape[0]
    if min(n, m) < _MIN_ROWS:
        return UNMEASURED
    rows = np.concatenate([ref, cur])
    rows = rows - rows.mean(axis=0)  # distances are differences of squares: keep those small
    bandwidth = median_bandwidth(rows, rng)
    if bandwidth == 0.0:
        return Result(0.0, 1.0, 0.0)
    in_ref = _permuted(n, n + m, permutations, rng)
    if n + m <= exact_rows:
        within, to_all, everything = _by_kernel(rows, bandwidth, in_ref)
        detail = ""
    else:
        within, to_all, everything = _by_features(random_features(rows, bandwidth, features, rng), in_ref)
        detail = f"{features} random features"
    statistics = _unbiased(within, to_all, everything, n, m)
    observed = float(statistics[0])
    reached = int((statistics[1:] >= observed - _rounding(observed)).sum())
    return Result(observed, (1 + reached) / (1 + permutations), math.sqrt(max(observed, 0.0)), detail)


def _rounding(observed: float) -> float:
    """Sums in single precision: a permutation this close counts as equal, which is the safe side."""
    return 1e-6 * (abs(observed) + 1e-3)


def _permuted(n: int, total: int, permutations: int, rng: np.random.Generator) -> Signs:
    """Shape (total, 1 + permutations): 1 for a row of the reference. The first column is the truth."""
    truth = np.zeros((total, 1), dtype=np.float32)
    truth[:n] = 1.0
    return np.concatenate([truth, rng.permuted(np.tile(truth, permutations), axis=0)], axis=1)


def _by_kernel(rows: Rows, bandwidth: float, in_ref: Signs) -> tuple[Array, Array, float]:
    """Σ_{i≠j} k over pairs within the reference, over pairs (reference, any), and over all pairs."""
    within, to_all, everything = np.zeros(in_ref.shape[1]), np.zeros(in_ref.shape[1]), 0.0
    for start in range(0, rows.shape[0], _BLOCK):
        kernel = gaussian(rows[start : start + _BLOCK], rows, bandwidth)
        kernel[np.arange(kernel.shape[0]), start + np.arange(kernel.shape[0])] = 0.0
        mine = in_ref[start : start + _BLOCK]
        sums = kernel.sum(axis=1, dtype=np.float64)
        within += np.einsum("ip,ip->p", mine, kernel @ in_ref, dtype=np.float64)
        to_all += sums @ mine
        everything += float(sums.sum())
    return within, to_all, everything


def _by_features(features: npt.NDArray[np.float32], in_ref: Signs) -> tuple[Array, Array, float]:
    """As `_by_kernel`: |Σφ|² less the diagonal, which is 1 per row as φ has unit length."""
    sums = (in_ref.T @ features).astype(np.float64)
    whole = features.sum(axis=0, dtype=np.float64)
    n = in_ref.sum(axis=0, dtype=np.float64)
    return np.square(sums).sum(axis=1) - n, sums @ whole - n, float(whole @ whole) - features.shape[0]


def _unbiased(within: Array, to_all: Array, everything: float, n: int, m: int) -> Array:
    between = to_all - within
    within_cur = everything - 2 * to_all + within
    estimate: Array = within / (n * (n - 1)) + within_cur / (m * (m - 1)) - 2 * between / (n * m)
    return estimate

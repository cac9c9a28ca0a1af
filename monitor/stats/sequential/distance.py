"""How far the mean of the last batches is from a fixed origin, with an interval that knows that batches are dependent.

The dispersion between batches and its lag-one autocorrelation come from all complete blocks of batches so far, each
about its own mean: a lasting shift touches one block only, and no block counts for more than four of the usual ones.
Shapes: S streams; L batches per block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from monitor.stats.sequential.regression import Array

_LARGEST_AUTOCORRELATION = 0.95
_LARGEST_BLOCK = 4.0  # squares of a block, in usual ones: a shift within it says nothing about ordinary dispersion
_FEWEST_BLOCKS = 3  # before "usual" means anything
_FEWEST = 3  # batches in the window, and in a block whose autocorrelation can be corrected


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    """Sums over complete blocks, shape (S,): squared deviations, their lag-one products, and the number of blocks."""

    squares: Array
    products: Array
    blocks: Array

    @classmethod
    def start(cls, streams: int) -> Dispersion:
        return cls(squares=np.zeros(streams), products=np.zeros(streams), blocks=np.zeros(streams))

    def add(self, block: Array) -> Dispersion:
        """Add a block, shape (L, S); a stream with a gap in it (NaN) is left out."""
        use = np.isfinite(block).all(axis=0)
        gap = np.where(use, block - np.where(use, block, 0.0).mean(axis=0), 0.0)
        squares = np.square(gap).sum(axis=0)
        usual = self.squares / np.maximum(self.blocks, 1.0)
        bounded = (self.blocks >= _FEWEST_BLOCKS) & (usual > 0) & (squares > _LARGEST_BLOCK * usual)
        weight = np.where(bounded, _LARGEST_BLOCK * usual / np.where(squares > 0, squares, 1.0), 1.0)
        return Dispersion(
            squares=self.squares + weight * squares,
            products=self.products + weight * (gap[1:] * gap[:-1]).sum(axis=0),
            blocks=self.blocks + use,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """Per stream, shape (S,): the trailing mean and its simultaneous interval; NaN where too little is known."""

    mean: Array
    low: Array
    high: Array


def trailing(window: Array, dispersion: Dispersion, origin_error: Array, confidence: float) -> Distance:
    """Distance of the mean of `window`, shape (L, S), NaN for gaps, from 0.

    `origin_error` is the variance of the origin itself in units of the long-run variance of one batch, shape (S,).
    The interval holds for all S streams together at `confidence` (Bonferroni) and uses t quantiles with the effective
    number of batches [1]_. Within the window the larger of its own dispersion and the pooled one counts, so that an
    interval is wide while the level is still moving. Needs one complete block and three batches in the window.

    References
    ----------
    .. [1] Bayley, Hammersley (1946), J. R. Statist. Soc. Suppl. 8(2), 184-197: effective number of observations.
    """
    length = len(window)
    n = np.isfinite(window).sum(axis=0).astype(np.float64)
    known = (n >= _FEWEST) & (dispersion.blocks >= 1)
    safe_n = np.where(n > 0, n, 1.0)
    mean = np.nansum(window, axis=0) / safe_n
    inflation = _inflation(_autocorrelation(dispersion, length), safe_n)
    inside = np.maximum(safe_n - inflation, 0.5)  # what is left of n after the window's own mean is taken out
    blocks = np.maximum(dispersion.blocks, 1.0)
    block_inflation = _inflation(_autocorrelation(dispersion, length), np.full_like(n, length))
    pooled = dispersion.squares / blocks / np.maximum(length - block_inflation, 0.5)
    own = np.nansum(np.square(window - mean), axis=0) / inside
    long_run = np.maximum(pooled, own) * inflation
    dof = np.maximum(blocks * length / block_inflation - 1.0, 1.0)
    quantile = special.stdtrit(dof, 1.0 - (1.0 - confidence) / (2.0 * max(1, window.shape[1])))
    half = quantile * np.sqrt(long_run / safe_n + pooled * block_inflation * origin_error)
    half, mean = np.where(known, half, np.nan), np.where(known, mean, np.nan)
    return Distance(mean=mean, low=mean - half, high=mean + half)


def _autocorrelation(dispersion: Dispersion, length: int) -> Array:
    """Lag-one autocorrelation, ≥ 0; deviations from a block's own mean bias it by −(1 + 3ρ)/L, which is undone [2]_.

    .. [2] Marriott, Pope (1954), Biometrika 41, 390-402.
    """
    squares = np.where(dispersion.squares > 0, dispersion.squares, 1.0)
    raw = dispersion.products / squares
    if length <= _FEWEST:
        return np.clip(raw, 0.0, _LARGEST_AUTOCORRELATION)
    return np.clip((raw + 1.0 / length) / (1.0 - 3.0 / length), 0.0, _LARGEST_AUTOCORRELATION)


def _inflation(rho: Array, n: Array) -> Array:
    """n·Var(mean)/Var(one) of an AR(1) with autocorrelation rho: 1 + 2Σ(1 − k/n)ρᵏ."""
    return np.asarray(1.0 + 2.0 * rho / (1.0 - rho) * (1.0 - (1.0 - rho**n) / (n * (1.0 - rho))))

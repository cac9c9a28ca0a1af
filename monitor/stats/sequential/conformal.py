"""Evidence from ranks alone: valid for exchangeable residuals with any tail.

Shapes: S streams, N remembered sizes per stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.stats.sequential.regression import Array, Mask

_REMEMBERED = 256
_HELD_BACK = 10
_CANCELS = -1e-4  # ln p above which the calibrator's quotient cancels


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The last sizes of each stream's residuals, shape (S, N), NaN where there is none yet; a ring per stream."""

    sizes: Array
    count: Array  # (S,) how many were ever seen

    @classmethod
    def start(cls, streams: int, remembered: int = _REMEMBERED) -> Ranks:
        return cls(sizes=np.full((streams, remembered), np.nan), count=np.zeros(streams))


def p_values(ranks: Ranks, size: Array) -> Array:
    """Share of the remembered sizes, the new one included, that are at least as large, shape (S,).

    The newest ten are held back (a quarter of a short memory): a change must not make itself ordinary.
    """
    length = ranks.sizes.shape[1]
    age = (ranks.count[:, None].astype(np.intp) - 1 - np.arange(length)) % length
    counted = np.isfinite(ranks.sizes) & (age >= min(_HELD_BACK, length // 4))
    known = counted.sum(axis=1)
    larger = (counted & (ranks.sizes >= size[:, None])).sum(axis=1)
    return np.asarray((larger + 1.0) / (known + 1.0))


def remember(ranks: Ranks, size: Array, use: Mask) -> Ranks:
    """Add one size per stream, the oldest making room."""
    sizes = ranks.sizes.copy()
    rows = np.nonzero(use)[0]
    sizes[rows, ranks.count[rows].astype(np.intp) % sizes.shape[1]] = size[rows]
    return Ranks(sizes=sizes, count=ranks.count + use)


def log_calibrated(p: Array) -> Array:
    """Logarithm of the e-value (1 − p + p·ln p)/(p·ln² p) of a p-value in (0, 1] [1]_; ½ at p = 1.

    References
    ----------
    .. [1] Vovk, Wang (2021), Annals of Statistics 49(3), 1736-1754, equation 2: the mixture of calibrators κp^(κ−1).
    """
    log_p = np.log(p)
    near_one = log_p > _CANCELS  # its series there is ½ − ln(p)/6
    safe = np.where(near_one, -1.0, log_p)
    exact = (1.0 - np.exp(safe) + np.exp(safe) * safe) / (np.exp(safe) * safe * safe)
    return np.asarray(np.log(np.where(near_one, 0.5 - log_p / 6.0, exact)))

"""Betting on which of two models loses less, batch by batch: an e-process that may be looked at after each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LARGEST_BET = 0.5

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Duel:
    """`better`, `worse`: the largest wealth so far of who bets that the gains are positive, and negative, on average.

    A block's mean gain d is scaled by its usual size c and cut: g = clip(d/c, −1, 1); W ← W·(1 + λg) with a bet
    0 ≤ λ ≤ ½ that is known before the block [1]_. While blocks gain nothing on average, a wealth of w is ever reached
    with a chance of at most 1/w. c² is the mean of the earlier d² and of this block's squared standard error; by that,
    and by the cut, the promise is approximate: it is exact for symmetric d. Eight blocks, all won, make 20.

    References
    ----------
    .. [1] Waudby-Smith, Ramdas (2024), JRSS B 86(1), arXiv 2010.09686; Ville's inequality.
    """

    better: float = 1.0
    worse: float = 1.0
    blocks: int = 0
    wealth: tuple[float, float] = (1.0, 1.0)
    total: float = 0.0  # Σ g
    squares: float = 0.0  # Σ d²

    def after(self, gains: Array) -> Duel:
        """With one more block, of rows that share a batch, (n,). Without rows or any difference nothing happens."""
        if gains.size == 0 or not gains.any():
            return self
        mean = float(gains.mean())
        error = float(gains.var(ddof=1)) / gains.size if gains.size > 1 else mean * mean
        scale = math.sqrt((self.squares + error) / (self.blocks + 1))
        gain = float(np.clip(mean / scale, -1.0, 1.0)) if scale > 0 else math.copysign(1.0, mean)
        up, down = (
            wealth * (1.0 + _bet(sign * self.total, self.blocks) * sign * gain)
            for wealth, sign in zip(self.wealth, (1.0, -1.0), strict=True)
        )
        return Duel(
            better=max(self.better, up),
            worse=max(self.worse, down),
            blocks=self.blocks + 1,
            wealth=(up, down),
            total=self.total + gain,
            squares=self.squares + mean * mean,
        )


def _bet(total: float, blocks: int) -> float:
    """The mean gain so far, with one imagined block that was won, at most ½."""
    return _LARGEST_BET * float(np.clip((1.0 + total) / (1.0 + blocks), 0.0, 1.0))

"""What two models said about the same labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of one model: `scores` (n, k) or (n,), `losses` (n,), `target` (n,) codes into its own classes, or values.

    `positive` is the column of the positive class, where there is one.
    """

    scores: Array
    target: npt.NDArray[Any]
    losses: Array
    positive: int | None = None

    def at(self, rows: Mask) -> Answers:
        return Answers(self.scores[rows], self.target[rows], self.losses[rows], self.positive)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """`batches` (n,): number of the batch that a row came with, rising. `segments`: per column, each row's level."""

    candidate: Answers
    champion: Answers
    batches: npt.NDArray[np.integer]
    segments: Mapping[str, npt.NDArray[Any]]

    @property
    def rows(self) -> int:
        return len(self.batches)

    def at(self, rows: Mask) -> Comparison:
        segments = {name: levels[rows] for name, levels in self.segments.items()}
        return Comparison(self.candidate.at(rows), self.champion.at(rows), self.batches[rows], segments)

    def gains(self, margin: float) -> Array:
        """Per row, what the candidate loses less than (1 + `margin`) times what the champion does, (n,)."""
        gains: Array = (1.0 + margin) * self.champion.losses - self.candidate.losses
        return gains

    def mean_losses(self) -> tuple[float, float]:
        """Of candidate and champion; NaN without rows."""
        if not self.rows:
            return float("nan"), float("nan")
        return float(self.candidate.losses.mean()), float(self.champion.losses.mean())

"""Which labelled rows a candidate is trained on, and how much each of them counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.intp]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """`rows` (k,): positions among the labelled rows, ascending, so that the oldest comes first.

    `weights` (k,): non-negative, or None when all count the same. `facts`: numbers that an operator should see.
    """

    rows: Positions
    weights: Weights | None = None
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def digest(self) -> bytes:
        """The same for the same rows with the same weights."""
        weights = b"" if self.weights is None else self.weights.tobytes()
        return hashlib.blake2b(self.rows.tobytes() + b"|" + weights, digest_size=16).digest()


def everything(n: int) -> Selection:
    return Selection(np.arange(n))


def newest(n: int, count: int) -> Selection:
    """The last `count` of `n` rows, or all of them if there are fewer; at least one of any."""
    return Selection(np.arange(max(0, n - max(count, 1)), n))

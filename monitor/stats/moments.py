"""Count, mean and centred sum of squares: a mergeable summary of one column's finite values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the finite values seen so far; `mean` in the unit of the values, `m2` in its square.

    A sum that overflows float64 leaves `mean` or `m2` infinite or NaN; `is_finite` is then False and nothing that
    is computed from the moments may be trusted.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0  # Σ(x − mean)²

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Moments:
        """Summarise `values`, shape (k,); non-finite values are dropped, not zeroed."""
        array = np.asarray(values, dtype=np.float64)
        return cls.of_finite(array[np.isfinite(array)])

    @classmethod
    def of_finite(cls, values: npt.NDArray[np.float64]) -> Moments:
        """As `of` for values that are known to be finite: two passes, no copy but the centred values."""
        if values.size == 0:
            return cls()
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.add.reduce(values)) / values.size
            centred = values - mean
            return cls(int(values.size), mean, float(centred @ centred))

    def merge(self, other: Moments) -> Moments:
        """Pool two disjoint samples [1]_: a commutative monoid up to rounding, with `Moments()` as its zero.

        References
        ----------
        .. [1] Chan, Golub, LeVeque (1983), The American Statistician 37(3), 242-247: pairwise update.
        """
        if other.n == 0:
            return self
        if self.n == 0:
            return other
        n = self.n + other.n
        gap = other.mean - self.mean
        mean = (self.mean * self.n + other.mean * other.n) / n
        return Moments(n, mean, self.m2 + other.m2 + gap * gap * (self.n * other.n / n))

    def in_sd(self, gap: float) -> float:
        """`gap` in standard deviations of this sample: infinite, with its sign, when they are 0, and 0 for no gap."""
        if self.sd > 0:
            return gap / self.sd
        return math.copysign(math.inf, gap) if gap else 0.0

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.mean) and math.isfinite(self.m2)

    @property
    def variance(self) -> float:
        """Sample variance (n − 1); 0 for fewer than two values."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0

    @property
    def sd(self) -> float:
        return math.sqrt(self.variance) if self.variance >= 0 else math.nan

"""Summaries of one numeric column: the reference, frozen, and a profile against it, which merges."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.stats.bins import bin_counts, decile_edges
from monitor.stats.ecdf import Ecdf
from monitor.stats.merge_count import Counts
from monitor.stats.moments import Moments
from monitor.stats.point_index import PointIndex

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericReference:
    """`ecdf` of all values that are not missing, infinities included; `finite` are the moments of the finite ones.

    Made from `ecdf`: `index`, to count other values between its points, and `deciles`, the edges of bins, with how many
    values are `in_deciles`.
    """

    ecdf: Ecdf
    missing: int
    negative_infinities: int
    positive_infinities: int
    finite: Moments
    index: PointIndex = field(init=False, repr=False, compare=False)
    deciles: Counts = field(init=False, repr=False, compare=False)
    in_deciles: Counts = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        edges = decile_edges(self.ecdf)
        object.__setattr__(self, "index", PointIndex.of(self.ecdf.points))
        object.__setattr__(self, "deciles", edges)
        object.__setattr__(self, "in_deciles", bin_counts(edges, self.ecdf.upto, self.n))

    @classmethod
    def of(cls, values: Values) -> NumericReference:
        """`values` shape (n,); NaN is missing."""
        held, finite = _sorted_values(values)
        return cls(
            ecdf=Ecdf.of_sorted(held),
            missing=values.size - held.size,
            negative_infinities=_leading_infinities(held),
            positive_infinities=held.size - finite.size - _leading_infinities(held),
            finite=Moments.of_finite(finite),
        )

    @property
    def n(self) -> int:
        return self.ecdf.n

    def finite_range(self) -> tuple[float, float]:
        """Smallest and largest finite value; (inf, −inf) when there is none."""
        if self.finite.n == 0:
            return math.inf, -math.inf
        points = self.ecdf.points
        return float(points[int(self.negative_infinities > 0)]), float(points[-1 - int(self.positive_infinities > 0)])


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericProfile:
    """How many values lie below and up to each point of the reference, and the moments of the finite ones.

    `outside`: Σ distance to the reference's finite range, over the finite values beyond it. `minimum` and `maximum`
    are of the finite values, inf and −inf when there is none. Integer counts merge exactly, the rest up to rounding.
    """

    below: Counts
    upto: Counts
    n: int = 0
    missing: int = 0
    negative_infinities: int = 0
    positive_infinities: int = 0
    moments: Moments = field(default_factory=Moments)
    minimum: float = math.inf
    maximum: float = -math.inf
    outside: float = 0.0

    @classmethod
    def empty(cls, ref: NumericReference) -> NumericProfile:
        nothing = np.zeros(ref.ecdf.points.size, dtype=np.int64)
        return cls(below=nothing, upto=nothing)

    @classmethod
    def of(cls, values: Values, ref: NumericReference) -> NumericProfile:
        """`values` shape (n,), in any order; NaN is missing."""
        held, finite = _held_values(values)
        below, upto = ref.index.count(held)
        negative = int((held == -math.inf).sum()) if finite.size < held.size else 0
        minimum = float(finite.min()) if finite.size else math.inf
        maximum = float(finite.max()) if finite.size else -math.inf
        return cls(
            below=below,
            upto=upto,
            n=held.size,
            missing=values.size - held.size,
            negative_infinities=negative,
            positive_infinities=held.size - finite.size - negative,
            moments=Moments.of_finite(finite),
            minimum=minimum,
            maximum=maximum,
            outside=_outside(finite, minimum, maximum, *ref.finite_range()),
        )

    def merge(self, other: NumericProfile) -> NumericProfile:
        """Of the rows of both; both against the same reference."""
        below = self.below + other.below
        same = self.below is self.upto and other.below is other.upto
        return NumericProfile(
            below=below,
            upto=below if same else self.upto + other.upto,
            n=self.n + other.n,
            missing=self.missing + other.missing,
            negative_infinities=self.negative_infinities + other.negative_infinities,
            positive_infinities=self.positive_infinities + other.positive_infinities,
            moments=self.moments.merge(other.moments),
            minimum=min(self.minimum, other.minimum),
            maximum=max(self.maximum, other.maximum),
            outside=self.outside + other.outside,
        )


def _sorted_values(values: Values) -> tuple[Values, Values]:
    """All values that are not NaN, sorted, and the finite part of them (a view)."""
    held = np.sort(values)
    if held.size and held[-1] != held[-1]:  # NaN sorts last
        held = held[: held.searchsorted(math.nan)]
    finite = held
    if finite.size and finite[0] == -math.inf:
        finite = finite[finite.searchsorted(-math.inf, side="right") :]
    if finite.size and finite[-1] == math.inf:
        finite = finite[: finite.searchsorted(math.inf)]
    return held, finite


def _leading_infinities(held: Values) -> int:
    return int(held.searchsorted(-math.inf, side="right")) if held.size and held[0] == -math.inf else 0


def _held_values(values: Values) -> tuple[Values, Values]:
    """All values that are not NaN, and the finite ones; no copy when that is all of them."""
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(np.add.reduce(values)):  # a sum with NaN or infinity is neither
            return values, values
    held = values[~np.isnan(values)]
    return held, held[np.isfinite(held)]


def _outside(finite: Values, minimum: float, maximum: float, low: float, high: float) -> float:
    """Σ distance to [low, high] of finite values."""
    if low > high or finite.size == 0:
        return 0.0
    total = 0.0
    with np.errstate(over="ignore"):
        if minimum < low:
            total += float((low - finite[finite < low]).sum())
        if maximum > high:
            total += float((finite[finite > high] - high).sum())
    return total

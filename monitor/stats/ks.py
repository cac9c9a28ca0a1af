"""Two-sample Kolmogorov–Smirnov test from cumulative counts."""

from __future__ import annotations

import math

from monitor.stats.ecdf import Ecdf
from monitor.stats.kolmogorov import two_sample_p_value
from monitor.stats.merge_count import Counts
from monitor.stats.result import UNMEASURED, Result


def ks(ref: Ecdf, below: Counts, upto: Counts, n: int) -> Result:
    """Largest distance D between the two distribution functions, with its two-sided p-value.

    `below` and `upto` count the n current values at the points of `ref`. Exact when `ref` is complete: between two
    points the reference's function is constant and the other one monotone, so that the supremum is at a point, from
    the left or from the right. Otherwise short of it by less than 1e-4. The effect is D with the sign of the move:
    positive when the current values are larger where the distance is largest.
    """
    if ref.n == 0 or n == 0:
        return UNMEASURED
    up = float((ref.upto * (1 / ref.n) - upto * (1 / n)).max())  # current values larger: their function is lower
    down = float((below * (1 / n) - ref.below * (1 / ref.n)).max())
    d = max(up, down, 0.0)
    return Result(d, two_sample_p_value(d, ref.n, n), math.copysign(d, up - down))

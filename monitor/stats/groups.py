"""Pooled values in groups: at each point of the reference and in each gap between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.stats.ecdf import Ecdf
from monitor.stats.merge_count import Counts

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Reference and current values per group in ascending order, gap first, and how many lie below the group.

    Values at a point are tied with each other. Those in a gap are not; where among them the others lie is not known
    (an incomplete reference has values there, too), and each counts as the middle of the group.
    """

    ref: Array
    cur: Array
    ref_below: Array
    cur_below: Array

    def tied(self, counts: Array) -> Array:
        """The counts with those in gaps set to 1 or 0: for sums over ties."""
        ties = counts.copy()
        ties[0::2] = np.minimum(ties[0::2], 1.0)
        return ties


def groups(ref: Ecdf, below: Counts, upto: Counts, n: int) -> Groups:
    """2m + 1 groups for the m points of `ref`: gap, point, gap, …, point, gap."""
    ref_ends, cur_ends = _interleaved(ref.below, ref.upto, ref.n), _interleaved(below, upto, n)
    return Groups(np.diff(ref_ends, prepend=0.0), np.diff(cur_ends, prepend=0.0), _before(ref_ends), _before(cur_ends))


def _interleaved(below: Counts, upto: Counts, n: int) -> Array:
    ends = np.empty(2 * below.size + 1)
    ends[0:-1:2], ends[1::2], ends[-1] = below, upto, n
    return ends


def _before(ends: Array) -> Array:
    return np.concatenate(([0.0], ends[:-1]))

"""Do the labels of two groups of rows have the same distribution?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.stats.chi2 import chi2
from monitor.stats.ecdf import Ecdf
from monitor.stats.ks import ks
from monitor.stats.merge_count import count_at


def same_labels(one: npt.NDArray[Any], other: npt.NDArray[Any], classes: int) -> float | None:
    """P-value; None when a group is empty. Codes below `classes` (−1: unknown class, one more): χ²; values: KS."""
    if len(one) == 0 or len(other) == 0:
        return None
    if not classes:
        ecdf = Ecdf.of_sorted(np.sort(one.astype(np.float64)))
        return ks(ecdf, *count_at(ecdf.points, np.sort(other.astype(np.float64))), len(other)).p_value
    ours, others = (np.bincount(group + 1, minlength=classes + 1).astype(np.int64) for group in (one, other))
    return chi2(ours, others).p_value

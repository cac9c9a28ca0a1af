"""Classes count as often as they are estimated to occur now: for a shift of the labels that no label has told yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain.selection.importance import effective_rows
from monitor.domain.selection.selection import Selection
from monitor.errors import DataError


def by_prior(target: npt.NDArray[Any], classes: Sequence[str], prior: Mapping[str, float]) -> Selection:
    """All rows, those of class k weighted by estimated share over share among the rows.

    Raises DataError for regression, without an estimate, and when a class that is estimated to occur has no row.
    """
    if not classes:
        raise DataError("a value has no class shares")
    if not prior:
        raise DataError("the shares of the classes are not estimated")
    counts = np.bincount(target, minlength=len(classes))
    wanted = np.array([prior.get(name, 0.0) for name in classes])
    for name, share, count in zip(classes, wanted, counts, strict=True):
        if share > 0 and count == 0:
            raise DataError(f"class {name!r} is estimated at {share:.1%} and has no labelled row")
    ratio = wanted / np.where(counts > 0, counts / counts.sum(), 1.0)
    weights = ratio[target]
    return Selection(np.arange(len(target)), weights, {"effective_rows": effective_rows(weights)})

"""A user's own selection: what its code is given, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from monitor.domain.selection.selection import Selection
from monitor.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Situation:
    """What is known beside the labelled rows.

    `times`: event time of each of them, UTC, None without a timestamp column. `current`: features of the rows of the
    newest batches, labelled or not, None when there are none. `prior`: the shares of the classes as estimated from the
    newest batch, empty when they are not. `change`: when the newest change began whose alarm stands. `window_rows`:
    rows of the first model's training set. `rng`: the source of all randomness.
    """

    times: npt.NDArray[np.datetime64] | None
    current: pd.DataFrame | None
    prior: Mapping[str, float]
    change: datetime | None
    window_rows: int
    rng: np.random.Generator


def as_selection(answer: Any, n: int) -> Selection:
    """Of `n` rows: n booleans keep or leave out, whole numbers are positions, n other numbers are weights.

    Rows of weight 0 are left out. Raises DataError for anything else, and when no row is left.
    """
    given = np.asarray(answer)
    if given.ndim != 1 or given.dtype.kind not in "biuf":
        raise DataError(f"a selection is one row of booleans, positions or weights, not {given.dtype} {given.shape}")
    if given.dtype.kind in "iu":
        rows = np.unique(given).astype(np.intp)
        if rows.size and (rows[0] < 0 or rows[-1] >= n):
            raise DataError(f"position {rows[0] if rows[0] < 0 else rows[-1]} is outside 0..{n - 1}")
        weights = None
    else:
        if given.size != n:
            raise DataError(f"{given.size} values for {n} rows")
        if not np.isfinite(given).all() or (given < 0).any():
            raise DataError("a weight is negative or not finite")
        rows = np.flatnonzero(given)
        weights = None if given.dtype.kind == "b" else given[rows].astype(np.float64)
    if rows.size == 0:
        raise DataError("no row is left")
    return Selection(rows, weights)

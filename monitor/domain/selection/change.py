"""Only rows from after the newest change: nothing of what no longer holds, and few rows to learn from."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from monitor.domain.selection.selection import Selection
from monitor.errors import DataError, TooFewRows

_FEWEST = 100


def since_change(n: int, times: npt.NDArray[np.datetime64] | None, change: datetime | None) -> Selection:
    """Rows with `times` (n,), UTC, at or after `change`.

    Raises DataError without a change or without times, TooFewRows below 100 rows.
    """
    if change is None:
        raise DataError("no change is known: no alarm stands")
    if times is None:
        raise DataError("needs `schema.timestamp`: without it no row is known to be from after the change")
    rows = np.flatnonzero(times >= np.datetime64(change.astimezone(UTC).replace(tzinfo=None)))
    if len(rows) < _FEWEST:
        raise TooFewRows(need=_FEWEST, have=len(rows), what="training since the change")
    return Selection(rows)

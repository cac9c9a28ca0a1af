"""Old rows count less: what was true long ago is not forgotten at once, and does not rule for ever."""

from __future__ import annotations

import numpy as np

from monitor.domain.selection.selection import Selection


def by_recency(n: int, half_life: float) -> Selection:
    """All `n` rows; one that lies `half_life` rows before the newest counts half as much as the newest.

    Rows and not days are counted: it is rows that a model needs, however fast they come. Raises ValueError for a half
    life that is not positive.
    """
    if not half_life > 0:
        raise ValueError(f"a half-life of {half_life} rows")
    ages = np.arange(n - 1, -1, -1, dtype=np.float64)
    return Selection(np.arange(n), np.exp2(-ages / half_life))

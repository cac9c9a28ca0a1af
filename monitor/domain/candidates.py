"""The candidates by name: what each of them is trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitor.domain.selection.recency import by_recency
from monitor.domain.selection.selection import Selection, everything, newest
from monitor.errors import DataError

_HALF = 0.5  # of the reference's rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What a selection may look at: `n` labelled rows, oldest first.

    `window_rows`: rows of the first model's training set, the unit of all windows.
    """

    n: int
    window_rows: int


CANDIDATES: Mapping[str, Callable[[Pool], Selection]] = {
    "all": lambda pool: everything(pool.n),
    "recent_1x": lambda pool: newest(pool.n, pool.window_rows),
    "recent_half": lambda pool: newest(pool.n, round(_HALF * pool.window_rows)),
    "weighted": lambda pool: by_recency(pool.n, _HALF * pool.window_rows),
}


def select(name: str, pool: Pool) -> Selection:
    """Raises DataError for a name that does not exist."""
    if name not in CANDIDATES:
        raise DataError(f"unknown candidate {name!r}; known are {', '.join(CANDIDATES)}")
    return CANDIDATES[name](pool)

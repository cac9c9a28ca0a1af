"""The candidates by name: what each of them is trained on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain.checks.comparison import Answers
from monitor.domain.schema import Schema
from monitor.domain.selection.change import since_change
from monitor.domain.selection.curation import curated
from monitor.domain.selection.importance import by_importance
from monitor.domain.selection.prior import by_prior
from monitor.domain.selection.recency import by_recency
from monitor.domain.selection.replay import with_replay
from monitor.domain.selection.selection import Selection, everything, newest
from monitor.errors import DataError

_HALF = 0.5  # of the reference's rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pool:
    """What a selection may look at: labelled rows, oldest first.

    `table` has the schema's columns, in any form that `domain.columns` reads. `target`: codes into `classes`, or
    values. `times`: event time of every row, UTC, where there is one. `window_rows`: rows of the first model's training
    set, the unit of all windows. `current`: the rows of the newest batches, labelled or not. `prior`: the shares of the
    classes estimated now. `change`: when the newest change that the detector has seen began. `cross_validated`: what
    models that have not seen a row say about it; costs three fits.
    """

    table: Any
    schema: Schema
    target: npt.NDArray[Any]
    classes: Sequence[str]
    times: npt.NDArray[np.datetime64] | None
    window_rows: int
    current: Any | None
    prior: Mapping[str, float]
    change: datetime | None
    rng: np.random.Generator
    cross_validated: Callable[[], Answers]

    @property
    def n(self) -> int:
        return len(self.target)

    @property
    def half(self) -> int:
        """Half of `window_rows`."""
        return max(1, round(_HALF * self.window_rows))


DEFAULT = ("all", "recent_1x", "recent_half", "weighted")

CANDIDATES: Mapping[str, Callable[[Pool], Selection]] = {
    "all": lambda pool: everything(pool.n),
    "recent_1x": lambda pool: newest(pool.n, pool.window_rows),
    "recent_half": lambda pool: newest(pool.n, pool.half),
    "weighted": lambda pool: by_recency(pool.n, _HALF * pool.window_rows),
    "since_change": lambda pool: since_change(pool.n, pool.times, pool.change),
    "importance": lambda pool: by_importance(pool.table, pool.current, pool.schema, pool.rng),
    "prior": lambda pool: by_prior(pool.target, pool.classes, pool.prior),
    "replay": lambda pool: with_replay(pool.n, pool.half, pool.rng),
    "curated": lambda pool: curated(pool.table, pool.schema, pool.target, pool.classes, pool.cross_validated),
}


_OWN = re.compile(r".+\.py:[A-Za-z_]\w*")


def is_own(name: str) -> bool:
    """True for a user's own selection, `path/to/file.py:function`."""
    return _OWN.fullmatch(name) is not None


def own_file(name: str) -> str:
    """The file of a user's own selection."""
    return name.rpartition(":")[0]


def select(name: str, pool: Pool) -> Selection:
    """Raises DataError for a name that does not exist, and when the rows do not allow this selection."""
    if name not in CANDIDATES:
        raise DataError(f"unknown candidate {name!r}; known are {', '.join(CANDIDATES)}")
    return CANDIDATES[name](pool)

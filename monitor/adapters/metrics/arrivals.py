"""How often batches come, learnt from those that came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median


def usual_interval(arrivals: Sequence[datetime], window_ends: Sequence[datetime]) -> timedelta | None:
    """Longest time between two of these arrivals, but no shorter than the windows usually are apart.

    The longest, so that weekends are usual where there are any. Windows, because a backlog arrives at once. None when
    nothing has come twice.
    """
    between, apart = _gaps(arrivals), _gaps(window_ends)
    longest = max([*between, median(apart) if apart else 0.0])
    return timedelta(seconds=longest) if longest else None


def _gaps(moments: Sequence[datetime]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in pairwise(sorted(moments))]

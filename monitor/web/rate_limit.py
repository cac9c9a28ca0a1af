"""How often somebody may call: a bucket of tokens for each, filled at a steady rate."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

_MOST_CALLERS = 10_000  # remembered; who was not heard of for longest is forgotten, and starts with a full bucket


class RateLimit:
    """So many calls per minute of each caller, all of them at once if they like. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller → calls left, as of when
        self._lock = threading.Lock()

    def wait_seconds(self, caller: str, per_minute: int) -> float:
        """0 when this call is allowed, and counted; else how long until one is."""
        with self._lock:
            now, per_second = self._clock(), per_minute / 60
            left, then = self._buckets.pop(caller, (float(per_minute), now))
            left = min(float(per_minute), left + (now - then) * per_second)
            allowed = left >= 1
            self._buckets[caller] = (left - 1 if allowed else left, now)
            if len(self._buckets) > _MOST_CALLERS:
                self._buckets.popitem(last=False)
            return 0.0 if allowed else (1 - left) / per_second

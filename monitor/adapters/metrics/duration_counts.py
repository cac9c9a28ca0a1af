"""A histogram of durations that is counted in plain numbers, for a collector that makes its families anew."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

# A batch of a thousand rows takes milliseconds, one of millions a minute or more.
BOUNDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)


class DurationCounts:
    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> Iterator[tuple[str, int]]:
        """(upper bound, how many took at most so long), the last one `+Inf`."""
        return zip((*map(str, BOUNDS), "+Inf"), accumulate(self._counts), strict=True)

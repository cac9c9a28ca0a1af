"""Tells when the wall clock was set back: what was to be done at a moment would otherwise wait for it a second time."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from monitor.app.ports import Clock

_LEAST = timedelta(seconds=1)  # less is how clocks are kept right


class SetBack:
    """By comparison with a clock that only runs on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = self._moment()

    def since_last(self) -> timedelta:
        """By how much it was set back since the last call; 0 for less than a second, or when it was set forward."""
        last_wall, last_steady = self._last
        wall, steady = self._last = self._moment()
        lost = timedelta(seconds=steady - last_steady) - (wall - last_wall)
        return lost if lost >= _LEAST else timedelta(0)

    def _moment(self) -> tuple[datetime, float]:
        return self._clock(), time.monotonic()

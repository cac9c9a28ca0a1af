"""`ErrorRate` by the ADWIN of river (Bifet, Gavaldà 2007, SIAM SDM), which comes with the extra `river`."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from monitor.app.error_history import Errors
from monitor.app.ports import ErrorsSeen
from monitor.errors import ConfigError


class Adwin:
    """With river's defaults (delta 0.002). Raises ConfigError when river is not installed."""

    def __init__(self) -> None:
        if importlib.util.find_spec("river") is None:
            raise ConfigError("detect.error_rate: adwin needs river: pip install 'driftloop[river]'")

    def look(self, past: Errors, fresh: Errors) -> ErrorsSeen:
        from river.drift import ADWIN  # takes a second

        window: Any = ADWIN()  # type: ignore[no-untyped-call]  # river has no types
        for error in past.tolist():
            window.update(error)
        before = None
        for error in fresh.tolist():
            rate = window.estimation
            window.update(error)
            if window.drift_detected and before is None:
                before = rate
        return ErrorsSeen(recent=int(np.ceil(window.width)), before=before, now=float(window.estimation))

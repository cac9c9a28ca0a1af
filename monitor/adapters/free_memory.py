"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back_memory() -> None:
    """glibc keeps what a short peak took, in an arena for each of several threads: a process that runs for weeks would
    in the end hold the highest peak of each. With another C library nothing happens.
    """
    if _TRIM is not None:
        _TRIM(0)

"""Who holds a lease or a claim: `host:pid:start`, so that what a dead process held is free at once."""

from __future__ import annotations

import socket

import psutil

_CLOCK_STEP_SECONDS = 2.0  # a process' start is derived from the boot time, which moves when the clock is set


def own_identity() -> str:
    """Return this process' owner string; the same in all its threads."""
    me = psutil.Process()
    return f"{socket.gethostname()}:{me.pid}:{me.create_time():.2f}"


def is_alive(owner: str) -> bool:
    """Return False only when `owner` surely is a process of this host that has ended, or whose number was reused.

    Owners of other hosts, and texts that are no identity, count as alive: their leases end by running out.
    """
    try:
        host, pid, start = owner.rsplit(":", 2)
        number, started = int(pid), float(start)
    except ValueError:
        return True
    if host != socket.gethostname():
        return True
    try:
        process = psutil.Process(number)
        if process.status() == psutil.STATUS_ZOMBIE:  # ended, only its parent has not asked for the exit code yet
            return False
        return abs(process.create_time() - started) < _CLOCK_STEP_SECONDS
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True

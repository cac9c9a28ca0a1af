"""Leases that live by a heartbeat: whoever dies, hangs or loses the store loses them, and another takes over."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

from monitor.app.ports import Clock, Log, Store
from monitor.errors import StoreError

BEATS = 4  # renewals within one lease: three in a row may fail


class Leases:
    """Those that this process holds in the store, renewed by one thread while there are any. Safe from any thread.

    A lease that could not be renewed in time, or that another process has taken, is not held any more; what was begun
    under it must write nothing: see `Transaction.guard`. The hosts' clocks must agree to a fraction of `length`.
    """

    def __init__(self, store: Store, *, owner: str, length: timedelta, clock: Clock, log: Log) -> None:
        self.owner, self.length = owner, length
        self._store, self._clock, self._log = store, clock, log
        self._held: dict[str, datetime] = {}  # name → when it runs out unless it is renewed
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def beat(self) -> timedelta:
        return self.length / BEATS

    def take(self, name: str) -> str | None:
        """Hold `name` from now on; returns None, or who holds it. Raises StoreError."""
        with self._lock:
            other = self._renew(name)
            if other is None and self._thread is None:
                self._thread = threading.Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
            return other

    def release(self, name: str) -> None:
        """Let another have it at once. Raises StoreError; then it runs out by itself."""
        with self._lock:
            if self._held.pop(name, None) is not None:
                self._store.release_lease(name, owner=self.owner)

    def holds(self, name: str) -> bool:
        until = self._held.get(name)
        return until is not None and self._clock() < until

    def _renew(self, name: str) -> str | None:
        now = self._clock()
        other = self._store.acquire_lease(name, owner=self.owner, now=now, until=now + self.length)
        if other is None:
            self._held[name] = now + self.length
        else:
            self._held.pop(name, None)
        return other

    def _renew_all(self) -> None:
        while True:
            time.sleep(self.beat.total_seconds())
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
                for name in list(self._held):
                    self._keep(name)

    def _keep(self, name: str) -> None:
        try:
            if (other := self._renew(name)) is not None:
                self._log.error("lease_lost", lease=name, to=other)
        except StoreError as exc:
            self._log.warning("lease_not_renewed", lease=name, until=self._held[name].isoformat(), error=str(exc))


def duty_lease(deployment: str) -> str:
    """Of the daemon that makes the passes, for as long as it lives."""
    return f"daemon:{deployment}"


def pass_lease(deployment: str) -> str:
    """Of whoever is at work right now."""
    return f"deployment:{deployment}"

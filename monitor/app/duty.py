"""Which of several daemons works on a deployment: one has the duty, the others stand by and take over.

The duty is kept between passes, so that files are not read anew at every turn; the lease under which a pass works is
another one, which operators' commands take in between.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from monitor.app.leases import Leases, duty_lease
from monitor.app.ports import Log
from monitor.errors import StoreError


class Duty:
    def __init__(self, leases: Leases, log: Log) -> None:
        self._leases, self._log = leases, log
        self._standing_by: dict[str, str] = {}  # deployment → who has the duty
        self._mine: set[str] = set()
        self._lock = threading.Lock()

    @property
    def beat(self) -> timedelta:
        """How often to ask whether there is something to take over."""
        return self._leases.beat

    def has(self, name: str) -> bool:
        """Whether this process works on the deployment, having tried to take the duty. Raises StoreError."""
        with self._lock:
            if self._leases.holds(duty_lease(name)):
                return True
            self._mine.discard(name)
            other = self._leases.take(duty_lease(name))
            before = self._standing_by.pop(name, None)
            if other is None:
                self._mine.add(name)
                if before is not None:
                    self._log.warning("took_over", deployment=name, from_=before)
                return True
            self._standing_by[name] = other
            if before != other:
                self._log.info("standing_by", deployment=name, at_work=other)
            return False

    def take_over(self) -> list[str]:
        """Try for all deployments that are stood by for; returns those that are this process' now."""
        try:
            return [name for name in list(self._standing_by) if self.has(name)]
        except StoreError as exc:
            self._log.warning("store_unreachable", error=str(exc))
            return []

    def leave(self, name: str) -> None:
        """Neither have the duty for this deployment nor stand by for it any more."""
        with self._lock:
            self._mine.discard(name)
            self._standing_by.pop(name, None)
            self._release(name)

    def end(self) -> None:
        """Let the others have it at once."""
        for name in self._mine:
            if not self._release(name):
                return

    def _release(self, name: str) -> bool:
        try:
            self._leases.release(duty_lease(name))
        except StoreError as exc:
            self._log.warning("store_unreachable", error=str(exc))
            return False
        return True

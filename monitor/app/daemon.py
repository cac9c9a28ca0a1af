"""The process that never stops: wakes up, makes a pass over a deployment, and lets no error end it.

The first signal drains: no new batch is begun, a training run is given up (it is made again at the next start), and
whatever is at hand may finish until the deadline. The second signal ends the process at once; nothing is lost by it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from monitor.app.advance import Listener, advance
from monitor.app.duty import Duty
from monitor.app.leases import Leases
from monitor.app.ports import Clock, Log
from monitor.app.runtime import Runtime
from monitor.config.sources import ScheduleConfig
from monitor.domain.private import without_text
from monitor.errors import BusyError, MonitorError, StoreError


class Stopping(MonitorError):
    """Work was given up because the process is stopping; it is taken up again at the next start."""


class WakeUps(Protocol):
    def add(self, name: str, schedule: ScheduleConfig, job: Callable[[], None]) -> None: ...
    def at_once(self, name: str) -> None:
        """Bring the next wake-up forward to now."""
        ...

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Of one deployment, since the process started. `error` is what ended the last pass, if it failed."""

    at_work_since: datetime | None = None  # None: no pass is being made
    last_pass: datetime | None = None
    last_success: datetime | None = None
    error: str | None = None


class Daemon:
    def __init__(
        self,
        runtimes: Mapping[str, Runtime],
        wake_ups: WakeUps,
        *,
        leases: Leases,
        drain: timedelta,
        clock: Clock,
        log: Log,
    ) -> None:
        self._runtimes, self._wake_ups, self._drain, self._clock, self._log = runtimes, wake_ups, drain, clock, log
        self._duty = Duty(leases, log)
        self._stop = threading.Event()
        self._busy: set[str] = set()
        self._idle = threading.Condition()
        self.health: dict[str, Health] = {name: Health() for name in runtimes}

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def run(self, listener: Listener, serve: Callable[[], AbstractContextManager[str]]) -> bool:
        """Block until SIGTERM or SIGINT; `serve` opens the HTTP server and says where it listens.

        False when a pass was still at work at the deadline: the process had better end without waiting for it.
        """
        for name, runtime in self._runtimes.items():
            self._wake_ups.add(name, runtime.config.schedule, partial(self.make_pass, name, listener))
        earlier = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            with serve() as address:
                self._wake_ups.start()
                self._log.info("started", address=address, deployments=sorted(self._runtimes))
                while not self._stop.wait(self._duty.beat.total_seconds()):
                    for name in self._duty.take_over():
                        self._wake_ups.at_once(name)
                self._wake_ups.stop()
                drained = self._wait_for_passes()
                self._duty.end()
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
        self._log.info("stopped", drained=drained)
        return drained

    def make_pass(self, name: str, listener: Listener) -> None:
        """One pass over a deployment. Errors of the world and of user code are logged, remembered, and end the pass."""
        if self.stopping:
            return
        with self._idle:
            self._busy.add(name)
        runtime, before = self._runtimes[name], self.health[name]
        now = self._clock()
        self.health[name] = replace(before, at_work_since=now)
        try:
            if not self._duty.has(name):
                return
            with runtime.working():
                advance(runtime, self._stoppable(listener))
            self.health[name] = Health(last_pass=now, last_success=now)
            if before.error:
                self._log.info("pass_recovered", deployment=name)
        except Stopping:
            self._log.info("pass_given_up", deployment=name)
        except BusyError as exc:
            self._log.info("pass_skipped", deployment=name, reason=str(exc))
        except MonitorError as exc:
            self._failed(runtime, str(exc), before, now)
        except Exception as exc:  # a defect of ours must not end the process: it is logged with its traceback
            shown = without_text(exc) if runtime.schema.private else exc
            self._log.error("pass_crashed", deployment=name, error=repr(shown), exc_info=shown)
            self._failed(runtime, repr(shown), before, now)
        finally:
            self.health[name] = replace(self.health[name], at_work_since=None)
            with self._idle:
                self._busy.discard(name)
                self._idle.notify_all()

    def _failed(self, runtime: Runtime, error: str, before: Health, now: datetime) -> None:
        self.health[runtime.name] = replace(before, last_pass=now, error=error)
        self._log.error("pass_failed", deployment=runtime.name, error=error)
        if error == before.error:
            return  # said already: the journal is for changes
        try:
            with runtime.store.transaction() as tx:
                tx.add_event(runtime.name, now, "pass_failed", {"error": error})
        except StoreError as exc:
            self._log.error("journal_unreachable", deployment=runtime.name, error=str(exc))

    def _stoppable(self, listener: Listener) -> Listener:
        def progress(share: float, what: str) -> None:
            if self.stopping:
                raise Stopping("the process is stopping")
            listener.progress(share, what)

        return replace(listener, stop=self._stop.is_set, progress=progress)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self.stopping:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._stop.set()

    def _wait_for_passes(self) -> bool:
        with self._idle:
            if self._busy:
                self._log.info("draining", waiting_for=sorted(self._busy), seconds=self._drain.total_seconds())
            drained = self._idle.wait_for(lambda: not self._busy, timeout=self._drain.total_seconds())
            if not drained:
                self._log.warning("drain_deadline", given_up=sorted(self._busy))
            return drained

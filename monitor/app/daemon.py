"""The process that never stops: wakes up, makes a pass over a deployment, and lets no error end it.

The first signal drains: no new batch is begun, a training run is given up (it is made again at the next start), and
whatever is at hand may finish until the deadline. The second signal ends the process at once; nothing is lost by it.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

from monitor.app.advance import Listener, advance
from monitor.app.duty import Duty
from monitor.app.journal import PASS_FAILED, PASS_RECOVERED, failing
from monitor.app.leases import Leases
from monitor.app.ports import Clock, Log
from monitor.app.reload import Changes
from monitor.app.runtime import Runtime
from monitor.app.set_back import SetBack
from monitor.config.sources import ScheduleConfig
from monitor.domain.private import without_text
from monitor.errors import BusyError, MonitorError, StoreError

_TIDY_SECONDS = 60.0  # between two calls of what is given as `tidy`


class Stopping(MonitorError):
    """Work was given up because the process is stopping; it is taken up again at the next start."""


class WakeUps(Protocol):
    def add(self, name: str, schedule: ScheduleConfig, job: Callable[[], None]) -> None: ...
    def remove(self, name: str) -> None: ...
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
        reload: Callable[[], object],
        tidy: Callable[[], None],
        clock: Clock,
        log: Log,
    ) -> None:
        self._runtimes, self._wake_ups = dict(runtimes), wake_ups
        self._drain, self._clock, self._log = drain, clock, log
        self._reload, self._listener = reload, Listener()
        self._tidy, self._tidied = tidy, time.monotonic()
        self._signals: SimpleQueue[int] = SimpleQueue()  # the one queue that a signal handler may put something into
        self._duty = Duty(leases, log)
        self._set_back = SetBack(clock)
        self._stop = threading.Event()
        self._busy: set[str] = set()
        self._idle = threading.Condition()
        self.health: dict[str, Health] = {name: Health() for name in runtimes}

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def run(
        self,
        listener: Listener,
        serve: Callable[[], AbstractContextManager[str]],
        *,
        hung_up: Callable[[], bool],
    ) -> bool:
        """Block until SIGTERM or SIGINT, SIGHUP reloads; `serve` opens the HTTP server and says where it listens.

        False when a pass was still at work at the deadline: the process had better end without waiting for it.
        """
        self._listener = listener
        for name in self._runtimes:
            self._wake_up(name)
        earlier = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        if hung_up():  # while the process started
            self._signals.put(signal.SIGHUP)
        try:
            with serve() as address:
                self._wake_ups.start()
                self._log.info("started", address=address, deployments=sorted(self._runtimes))
                while not self.stopping:
                    self._wait()
                self._wake_ups.stop()
                drained = self._wait_for_passes()
                self._duty.end()
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
        self._log.info("stopped", drained=drained)
        return drained

    def change(self, runtimes: Mapping[str, Runtime], changes: Changes) -> None:
        """Work with these runtimes from the next passes on; a pass that is being made ends as it began."""
        for name in (*changes.added, *changes.changed):
            self.health.setdefault(name, Health())
            self._runtimes[name] = runtimes[name]
            self._wake_up(name)
        for name in changes.removed:
            self._wake_ups.remove(name)
            self._duty.leave(name)
            del self._runtimes[name], self.health[name]

    def make_pass(self, name: str, listener: Listener) -> None:
        """One pass over a deployment. Errors of the world and of user code are logged, remembered, and end the pass."""
        runtime, before = self._runtimes.get(name), self.health.get(name)
        if self.stopping or runtime is None or before is None:  # it was removed meanwhile
            return
        with self._idle:
            self._busy.add(name)
        now = self._clock()
        self._seen(name, replace(before, at_work_since=now))
        try:
            if not self._duty.has(name):
                return
            with runtime.working():
                advance(runtime, self._stoppable(listener))
            self._succeeded(runtime, before, now)
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
            self._seen(name, replace(self.health.get(name, before), at_work_since=None))
            with self._idle:
                self._busy.discard(name)
                self._idle.notify_all()

    def _seen(self, name: str, health: Health) -> None:
        """Nothing is known of a deployment that was removed while a pass over it was made."""
        if name in self._runtimes:
            self.health[name] = health

    def _succeeded(self, runtime: Runtime, before: Health, now: datetime) -> None:
        self._seen(runtime.name, Health(last_pass=now, last_success=now))
        if before.error or (before.last_success is None and failing(runtime.store, runtime.name)):
            self._log.info("pass_recovered", deployment=runtime.name)
            self._journal(runtime, now, PASS_RECOVERED, {})

    def _failed(self, runtime: Runtime, error: str, before: Health, now: datetime) -> None:
        self._seen(runtime.name, replace(before, last_pass=now, error=error))
        self._log.error("pass_failed", deployment=runtime.name, error=error)
        if error == before.error:
            return  # said already: the journal is for changes
        self._journal(runtime, now, PASS_FAILED, {"error": error})

    def _journal(self, runtime: Runtime, now: datetime, event: str, body: Mapping[str, str]) -> None:
        try:
            with runtime.store.transaction() as tx:
                tx.add_event(runtime.name, now, event, body)
        except StoreError as exc:
            self._log.error("journal_unreachable", deployment=runtime.name, error=str(exc))

    def _stoppable(self, listener: Listener) -> Listener:
        def progress(share: float, what: str) -> None:
            if self.stopping:
                raise Stopping("the process is stopping")
            listener.progress(share, what)

        return replace(listener, stop=self._stop.is_set, progress=progress)

    def _wake_up(self, name: str) -> None:
        self._wake_ups.add(name, self._runtimes[name].config.schedule, partial(self.make_pass, name, self._listener))

    def _wait(self) -> None:
        """For a signal, and no longer than until it is time to ask whether there is something to take over."""
        with suppress(Empty):
            if self._signals.get(timeout=self._duty.beat.total_seconds()) == signal.SIGHUP:
                self._reload()
        if not self.stopping:
            for name in self._now_due():
                self._wake_ups.at_once(name)
            if time.monotonic() - self._tidied >= _TIDY_SECONDS:
                self._tidy()
                self._tidied = time.monotonic()

    def _now_due(self) -> Iterable[str]:
        """Deployments not to wait for any longer: taken over, or planned by a clock that was ahead."""
        taken_over = self._duty.take_over()
        if not (lost := self._set_back.since_last()):
            return taken_over
        self._log.warning("clock_set_back", seconds=round(lost.total_seconds(), 1))
        return tuple(self._runtimes)

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGHUP:
            if self.stopping:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self._stop.set()
        self._signals.put(number)

    def _wait_for_passes(self) -> bool:
        with self._idle:
            if self._busy:
                self._log.info("draining", waiting_for=sorted(self._busy), seconds=self._drain.total_seconds())
            drained = self._idle.wait_for(lambda: not self._busy, timeout=self._drain.total_seconds())
            if not drained:
                self._log.warning("drain_deadline", given_up=sorted(self._busy))
            return drained

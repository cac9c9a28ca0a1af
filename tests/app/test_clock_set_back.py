"""A machine's clock is set back by an hour: wake-ups that are planned for later than they should be come at once."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

from monitor.app.advance import Listener
from monitor.app.daemon import Daemon
from monitor.app.leases import Leases
from monitor.app.set_back import SetBack
from monitor.bootstrap import open_application
from tests.support.project import Project

HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.ahead = HOUR

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class WakeUps:
    """Sets the clock back when started, and stops the process at the first wake-up that is brought forward."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.brought_forward: list[str] = []

    def add(self, name, schedule, job):
        """A wake-up of its own never comes."""

    def start(self):
        self._clock.ahead = timedelta(0)

    def remove(self, name):
        """There is none."""

    def at_once(self, name):
        self.brought_forward.append(name)
        os.kill(os.getpid(), signal.SIGTERM)

    def stop(self):
        """Nothing runs."""


def test_the_daemon_wakes_up_all_deployments_at_once(tmp_path):
    clock = Clock()
    wake_ups = WakeUps(clock)
    with open_application(Project.create(tmp_path / "project").config) as app:
        leases = Leases(app.store, owner="me", length=timedelta(seconds=0.4), clock=clock, log=app.log)
        daemon = Daemon(
            {"tiny": app.runtime("tiny")},
            wake_ups,
            leases=leases,
            drain=timedelta(seconds=1),
            reload=lambda: None,
            tidy=lambda: None,
            clock=clock,
            log=app.log,
        )
        daemon.run(Listener(), lambda: nullcontext("nowhere"), hung_up=lambda: False)
    assert wake_ups.brought_forward == ["tiny"]


def test_only_a_clock_that_was_set_back_counts():
    clock = Clock()
    set_back = SetBack(clock)
    assert set_back.since_last() == timedelta(0)
    clock.ahead += HOUR
    assert set_back.since_last() == timedelta(0), "forward: what is due is made anyway"
    clock.ahead -= HOUR / 2
    assert abs(set_back.since_last() - HOUR / 2) < timedelta(seconds=1)
    assert set_back.since_last() == timedelta(0), "it is told once"

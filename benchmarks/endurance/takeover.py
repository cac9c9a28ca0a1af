"""How long it takes the daemon that stands by to take over from one that hangs."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.endurance.fleet import Fleet
from benchmarks.endurance.process import Daemon, until

_PATIENCE_SECONDS = 120


def run(lease: str, times: int) -> dict[str, object]:
    """Seconds from SIGSTOP to the working daemon until the other one has the deployment; they take turns."""
    with TemporaryDirectory(prefix="takeover-", ignore_cleanup_errors=True) as folder:
        fleet = Fleet.create(Path(folder) / "project", 1, retrain={"mode": "off"}, process={"lease": lease})
        works = Daemon(fleet.config, log="first.log")
        stands_by = None
        try:
            works.address()
            fleet.deliver(fleet.names[0])
            until(lambda: works.events("promoted"), _PATIENCE_SECONDS)
            stands_by = Daemon(fleet.config, log="second.log")
            until(lambda: stands_by.events("standing_by"), _PATIENCE_SECONDS)
            seconds = []
            for _ in range(times):
                seconds.append(round(_hang(works, stands_by), 1))
                print(f"{seconds[-1]:.1f} s", flush=True)
                works, stands_by = stands_by, works
            return {"lease": lease, "seconds": seconds}
        finally:
            for daemon in (works, stands_by):
                if daemon is not None:
                    daemon.kill()


def _hang(works: Daemon, stands_by: Daemon) -> float:
    """The one that hung stands by again afterwards."""
    turns, returns = len(stands_by.events("took_over")), len(works.events("standing_by"))
    hung = datetime.now(UTC)
    works.process.send_signal(signal.SIGSTOP)
    until(lambda: len(stands_by.events("took_over")) > turns, _PATIENCE_SECONDS, "taking over")
    works.process.send_signal(signal.SIGCONT)
    until(lambda: len(works.events("standing_by")) > returns, _PATIENCE_SECONDS, "standing by")
    told = datetime.fromisoformat(str(stands_by.events("took_over")[-1]["timestamp"]))
    return (told - hung).total_seconds()

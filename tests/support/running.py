"""A real daemon in a process of its own, and what it logs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from time import monotonic, sleep

from tests.support.project import Project

DRAIN_SECONDS = 8


class Running:
    """A daemon and what it has logged so far."""

    def __init__(self, project: Project, log: str = "daemon.log") -> None:
        self._log = project.folder / log
        self._start = self._log.stat().st_size if self._log.exists() else 0
        command = [sys.executable, "-m", "monitor", "-c", str(project.config), "run"]
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    def events(self, event: str) -> list[dict[str, object]]:
        lines = self._log.read_bytes()[self._start :].splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith(b"\n") and line.startswith(b"{")]
        return [entry for entry in found if entry["event"] == event]

    def wait_for(self, event: str, count: int = 1) -> dict[str, object]:
        until(lambda: len(self.events(event)) >= count)
        return self.events(event)[-1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=DRAIN_SECONDS + 2)


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "what was waited for did not happen"
        sleep(0.02)

"""A real daemon in a process of its own: started, watched and ended from outside, or at a stage of its work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
START_SECONDS = 120


class Daemon:
    """`monitor run`, or with `module` another program that runs it. Its output is added to `daemon.log` beside it."""

    def __init__(
        self,
        config: Path,
        *,
        module: tuple[str, ...] = ("monitor",),
        environment: Mapping[str, str] | None = None,
        log: str = "daemon.log",
    ) -> None:
        self._log = config.parent / log
        self._read = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module, "-c", str(config), "run"],
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})},
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def events(self, *names: str) -> list[dict[str, Any]]:
        """What it has logged since it was started, of these kinds."""
        lines = self._log.read_bytes()[self._read :].splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith(b"\n") and line.startswith(b"{")]
        return [entry for entry in found if entry["event"] in names]

    def address(self) -> str:
        until(lambda: self.events("started") or not self.running, START_SECONDS)
        return str(self.events("started")[0]["address"])

    def children(self) -> list[psutil.Process]:
        """All below it; empty when it has ended."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> float:
        """`kill -9`; returns how many seconds its children outlived it."""
        children = self.children()
        self.process.kill()
        self.process.wait()
        return outlived(children)

    def terminate(self, seconds: float = 15) -> int:
        """SIGTERM; returns the exit status."""
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)


def outlived(children: list[psutil.Process], patience: float = 10) -> float:
    """Seconds until all of these are gone. Raises AssertionError when they stay: orphans."""
    began = monotonic()
    _, alive = psutil.wait_procs(children, timeout=patience)
    assert not alive, f"children outlived the daemon: {[p.cmdline() for p in alive]}"
    return monotonic() - began


def until(condition: Callable[[], object], seconds: float, what: str = "what was waited for") -> float:
    """Wait for it; returns how long it took. Raises AssertionError when it does not come."""
    began = monotonic()
    while not condition():
        assert monotonic() - began < seconds, f"{what} did not happen within {seconds:g} s"
        sleep(0.02)
    return monotonic() - began

"""The feeder as a child of the demo: started once, heard line by line, ended with it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

_CLOSE_SECONDS = 3.0


class Feeder:
    """`say` is called with each line, from a thread of its own. Ends with the block, or with this process."""

    def __init__(self, folder: Path, *, every_seconds: float, say: Callable[[str], None]) -> None:
        self._command = [sys.executable, "-m", "monitor.demo.feeder", str(folder), "--every", str(every_seconds)]
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._hearing: threading.Thread | None = None
        self._closing = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start it unless it runs already."""
        with self._lock:
            if self._process is not None or self._closing:
                return
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demo, which ends this: also while it still imports
            )
            self._hearing = threading.Thread(target=self._hear, args=(self._process,), name="feeder", daemon=True)
            self._hearing.start()

    def wait(self) -> None:
        """Return when it has ended and everything it said was passed on."""
        if self._hearing is not None:
            self._hearing.join()

    def _hear(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is not None:
            with process.stdout as lines:
                for line in lines:
                    self._say(line.rstrip())
        status = process.wait()
        if not self._closing:
            self._say(f"ended with status {status}; no further batches will come")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closing = True
            process = self._process
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

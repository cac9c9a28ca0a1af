"""A Python child process that runs code we do not trust to end, to stay small or to stay alive."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

import monitor
from monitor.adapters.child_channel import LENGTHS, STACK_SIGNAL, pack
from monitor.errors import ModelError

_POLL_SECONDS = 0.1  # how often a silent child's memory and life are looked at
_STACK_SECONDS = 0.2  # for a hung child to write where it is
_TAIL_BYTES = 4096  # of stderr, kept for the error text


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`seconds` from now on; `memory` is resident bytes of the child and its own children. `remedy`: what to change."""

    seconds: float
    memory: int | None = None
    seconds_key: str = "the time limit"  # the setting to name in the error text
    memory_key: str = "the memory limit"


class ChildProcess:
    """Runs `python -m module`, in a process group of its own, and exchanges messages with it.

    Every method that talks to it raises ModelError when it died (naming signal or exit status), was silent for too
    long, or grew too large; it is then gone, with its children. The text begins with `what` and ends with what it last
    wrote to stderr, unless that is `private`. The child ends when this process does, however that happens.
    """

    def __init__(self, module: str, *, what: str, threads: int = 1, private: bool = False) -> None:
        self.what, self._private = what, private
        self.peak_memory_bytes = 0  # looked at only when there is a limit
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-X", "faulthandler", "-m", module, str(lifeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # a terminal's Ctrl-C is for the parent, which decides when to end its children
                pass_fds=[lifeline],
                env=_environment(threads),
            )
        except OSError as exc:
            os.close(self._lifeline)
            raise ModelError(f"{what}: no process could be started: {exc}") from exc
        finally:
            os.close(lifeline)
        self._requests, self._answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        os.set_blocking(self._requests.fileno(), False)
        self._tail = _Tail(_pipe(self._process.stderr))
        self._limits, self._started, self._looked = Limits(seconds=60.0), time.monotonic(), 0.0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def limit(self, limits: Limits) -> None:
        """Set the limits for what follows; its time starts now."""
        self._limits, self._started = limits, time.monotonic()

    def send(self, message: Mapping[str, Any], body: Any = b"") -> None:
        """Send a message; `body` is anything with the buffer protocol."""
        view = memoryview(body).cast("B")
        for part in (memoryview(pack(message, len(view))), view):
            rest = part
            while rest:
                self._wait(writing=True)
                try:
                    rest = rest[os.write(self._requests.fileno(), rest[: 1 << 16]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    raise self._died() from None

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next message of the child."""
        text_bytes, body_bytes = LENGTHS.unpack(self._read(LENGTHS.size))
        message: dict[str, Any] = json.loads(self._read(text_bytes))
        return message, self._read(body_bytes)

    def end(self) -> None:
        """Kill it and its children; nothing happens when it is gone already."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._requests, self._answers):
            pipe.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        self._tail.close()

    def _read(self, count: int) -> bytes:
        chunks, missing = [], count
        while missing:
            self._wait(writing=False)
            chunk = os.read(self._answers.fileno(), min(missing, 1 << 20))
            if not chunk:
                raise self._died()
            chunks.append(chunk)
            missing -= len(chunk)
        return b"".join(chunks)

    def _wait(self, *, writing: bool) -> None:
        """Return when the pipe is ready; raise when a limit is passed or the child is gone."""
        while True:
            readers, writers = ([], [self._requests]) if writing else ([self._answers], [])
            ready = any(select.select(readers, writers, [], _POLL_SECONDS))
            now = time.monotonic()
            if now - self._looked >= _POLL_SECONDS:
                self._looked = now
                self._check_memory()
            if ready:
                return
            if not self.alive:  # the pipe may be held open by a child of its own
                raise self._died()
            if now - self._started > self._limits.seconds:
                raise self._late()

    def _check_memory(self) -> None:
        limit = self._limits.memory
        if limit is None:  # looking for the child's own children costs milliseconds
            return
        used = _resident_bytes(self.pid)
        self.peak_memory_bytes = max(self.peak_memory_bytes, used)
        if used > limit:
            raise self._ended(
                f"used {_mib(used)} of memory, more than {self._limits.memory_key} of {_mib(limit)} allows; ended"
            )

    def _late(self) -> ModelError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, STACK_SIGNAL)
            time.sleep(_STACK_SECONDS)
        peak = f" (peak memory {_mib(self.peak_memory_bytes)})" if self.peak_memory_bytes else ""
        return self._ended(
            f"gave no answer within {self._limits.seconds_key} of {self._limits.seconds:g} s{peak}; ended"
        )

    def _died(self) -> ModelError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)  # its pipes close a moment before it can be waited for
        code = self._process.poll()
        if code is None:
            return self._ended("closed its pipe")
        if code >= 0:
            return self._ended(f"its process ended with exit status {code}")
        name = signal.Signals(-code).name
        hint = ", perhaps by the kernel for want of memory" if -code == signal.SIGKILL else ""
        return self._ended(f"its process was killed by {name}{hint}")

    def _ended(self, why: str) -> ModelError:
        self.end()
        said = "" if self._private else self._tail.text()
        return ModelError(f"{self.what}: {why}" + (f"\nLast lines of its stderr:\n{said}" if said else ""))


class _Tail:
    """Reads a pipe to its end in a thread, and keeps the last bytes."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self._kept = pipe, b""
        self._thread = threading.Thread(target=self._drain, name="child-stderr", daemon=True)
        self._thread.start()

    def text(self) -> str:
        return self._kept.decode(errors="replace").strip()

    def close(self) -> None:
        """Wait for the last bytes; a process that left the child's group may hold the pipe open, hence the limit."""
        self._thread.join(1.0)

    def _drain(self) -> None:
        with self._pipe as pipe:
            while chunk := os.read(pipe.fileno(), 1 << 16):
                self._kept = (self._kept + chunk)[-_TAIL_BYTES:]


def _environment(threads: int) -> dict[str, str]:
    """This process's, with the package importable and as many threads per numerical library as asked for."""
    package = str(Path(monitor.__file__).parents[1])
    path = os.environ.get("PYTHONPATH")
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**counts, **os.environ, "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package}


def _resident_bytes(pid: int) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += int(each.memory_info().rss)
    return total


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # every stream was asked for as a pipe
    return pipe

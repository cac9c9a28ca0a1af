"""The child's end of the pipes to its parent, and the form of the messages on them. Standard library only.

A message is two lengths, a JSON object and a body of bytes. User code runs in the child, so the pipes are moved away
from where user code reads and writes: `print` goes to stderr, stdin is empty.
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import select
import signal
import struct
import sys
from collections.abc import Mapping
from typing import Any

LENGTHS = struct.Struct("!IQ")  # of the JSON object and of the body, in bytes
STACK_SIGNAL = signal.SIGUSR1  # makes the child write to stderr where its code is, even when it holds the interpreter


def pack(message: Mapping[str, Any], body_bytes: int) -> bytes:
    """The head of a message: lengths and JSON; the body follows."""
    text = json.dumps(message).encode()
    return LENGTHS.pack(len(text), body_bytes) + text


class Channel:
    """Take over stdin and stdout of this process, and tie its life to the parent's. Make one, first thing in `main`."""

    def __init__(self) -> None:
        self._requests = os.fdopen(os.dup(0), "rb")
        self._answers = os.fdopen(os.dup(1), "wb")
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)
        faulthandler.register(STACK_SIGNAL)
        _end_with_parent(int(sys.argv[1]))

    def receive(self) -> tuple[dict[str, Any], bytes] | None:
        """The next message; None when the parent has closed its end."""
        head = self._requests.read(LENGTHS.size)
        if len(head) < LENGTHS.size:
            return None
        text_bytes, body_bytes = LENGTHS.unpack(head)
        message: dict[str, Any] = json.loads(self._requests.read(text_bytes))
        return message, self._requests.read(body_bytes)

    def send(self, message: Mapping[str, Any], body: bytes = b"") -> None:
        self._answers.write(pack(message, len(body)))
        self._answers.write(body)
        self._answers.flush()


def _end_with_parent(lifeline: int) -> None:
    """Have the kernel end this process and its children when the parent's end of the pipe `lifeline` is closed.

    The parent never writes to it, so that its readiness means one thing: the parent closed it or is gone, `kill -9`
    included. SIGIO ends a process that does not handle it, also one that is stuck inside C code. Linux's
    PR_SET_PDEATHSIG would not do: it follows the parent's *thread*, and a daemon's worker threads come and go.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # gone before the signal was asked for
        os.killpg(os.getpgrp(), signal.SIGKILL)

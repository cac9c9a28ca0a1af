from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from monitor.adapters.process_identity import is_alive, own_identity

PROGRAM = "from monitor.adapters.process_identity import own_identity; print(own_identity(), flush=True); input()"


def test_a_process_is_alive_until_it_is_killed():
    child = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        owner = child.stdout.readline().strip()
        assert owner.startswith(f"{socket.gethostname()}:{child.pid}:")
        assert is_alive(owner)
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and nobody has taken its exit code yet
        assert not is_alive(owner)
    assert not is_alive(owner)


def test_the_same_number_with_another_start_is_another_process():
    assert own_identity() == own_identity()
    assert is_alive(own_identity())
    assert not is_alive(f"{socket.gethostname()}:{os.getpid()}:1000.00")


def test_what_cannot_be_known_counts_as_alive():
    assert is_alive(f"elsewhere.{socket.gethostname()}:{os.getpid()}:1000.00")
    assert is_alive("a person")
    assert is_alive("host:pid:start")

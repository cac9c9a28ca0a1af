"""The real `monitor run` in a process of its own, which signals itself at a stage of its work.

A thread looks at the stacks of the others every half millisecond. When one of them is in the stage it waits a moment
and sends this process the signal. The product itself is as it is. The processes are forked by a server that has
imported everything already: hundreds of them would otherwise spend most of the time on imports.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

STAGES = {
    "reading": ("_read", "check_batch.py"),
    "scoring": ("score", "scoring_worker.py"),
    "collecting": ("write", "collected_data.py"),
    "recording": ("_record", "check_batch.py"),
    "training": ("train", "trainer.py"),
    "promoting": ("_remember", "retrain_model.py"),
}  # name → the function, and the file it is in, that a stack shows
_PAUSE_SECONDS = 0.0005
_IMPORTED = ["monitor.cli.main", "monitor.bootstrap", "monitor.web.serve", "monitor.adapters.scheduler"]


@dataclass(frozen=True, slots=True)
class Blow:
    """One end of the process: which signal, and how many seconds after which stage began; None: from outside."""

    stage: str | None
    number: signal.Signals
    delay: float = 0.0


def started(config: Path, log: Path, blow: Blow) -> BaseProcess:
    """A daemon that deals itself the blow; its output is added to `log`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    process = context.Process(target=_monitor, args=(str(config), str(log), blow))
    process.start()
    return process


def _monitor(config: str, log: str, blow: Blow) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if blow.stage is not None:
        threading.Thread(target=_strike, args=(*STAGES[blow.stage], blow), daemon=True).start()
    from monitor.cli.main import run

    sys.argv = ["monitor", "-c", config, "run"]
    run()


def _strike(function: str, file: str, blow: Blow) -> None:
    own = threading.get_ident()
    while not any(_is_at(f, function, file) for thread, f in sys._current_frames().items() if thread != own):
        time.sleep(_PAUSE_SECONDS)
    time.sleep(blow.delay)
    os.kill(os.getpid(), blow.number)


def _is_at(frame: FrameType | None, function: str, file: str) -> bool:
    """Whether this call, or one that it was made by, is in the function."""
    while frame is not None:
        if frame.f_code.co_name == function and Path(frame.f_code.co_filename).name == file:
            return True
        frame = frame.f_back
    return False

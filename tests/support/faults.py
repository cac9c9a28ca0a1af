"""A model that misbehaves while a file named `fault` lies beside the project, and is well again without it."""

from __future__ import annotations

from pathlib import Path

from tests.support.project import TINY_MODEL, Project

_FAULTY = """

import os, signal, sys, time
from pathlib import Path

FAULT = Path({fault!r})

class Faulty(Model):
    def predict(self, frame):
        scores = super().predict(frame)
        fault = FAULT.read_text() if FAULT.exists() else ""
        if fault == "raises":
            raise RuntimeError("no luck today")
        if fault == "wrong shape":
            return scores[:-1]
        if fault == "NaN":
            scores[6, 1] = np.nan
        if fault == "kills its process":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "exits":
            sys.exit(3)
        if fault == "slow":
            FAULT.with_name("scoring").touch()
            time.sleep(3)
        while fault == "waits" and FAULT.exists():
            FAULT.with_name("scoring").touch()
            time.sleep(0.05)
        while fault == "hangs":
            time.sleep(60)
        return scores

Model = Faulty
"""


def make_fragile(project: Project) -> Path:
    """Give the project this model; returns the file whose content, as long as it is there, names the fault."""
    fault = project.folder / "fault"
    code = project.folder / "models" / "model.py"
    code.write_text(TINY_MODEL.read_text() + _FAULTY.format(fault=str(fault)))
    return fault

"""Measures one contender on one workload, inside its own environment: `python -m benchmarks.child MODULE WORK …`."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

from benchmarks.workloads import WORKLOADS, tables

_MIB = 1024
_SLOW_SECONDS = 20.0  # a first call that takes longer is the only one


def measure(module: str, work: str, repeats: int, budget_seconds: float) -> dict[str, object]:
    """CPU seconds of each call after the first, fewer than `repeats` when the budget is spent; peak memory in MiB."""
    peer = importlib.import_module(module)
    reference, current = tables(WORKLOADS[work])
    compare = getattr(peer, WORKLOADS[work].task)(reference)
    first = _cpu_seconds(compare, current)
    runs: list[float] = []
    while first < _SLOW_SECONDS and len(runs) < repeats and (not runs or sum(runs) < budget_seconds):
        runs.append(_cpu_seconds(compare, current))
    return {
        "cpu_seconds": min(runs, default=first),
        "first": first,
        "runs": runs,
        "peak_mib": _peak_mib(compare, current) if first < _SLOW_SECONDS else None,
        "versions": {name: metadata.version(name) for name in peer.PACKAGES},
    }


def _cpu_seconds(compare, current) -> float:
    start = _spent()
    compare(current)
    return _spent() - start


def _spent() -> float:
    """By this process and by those that it waited for: some peers permute in processes of their own."""
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + others.ru_utime + others.ru_stime


def _peak_mib(compare, current) -> float | None:
    """Resident memory at its highest during one more call, less what was resident before; None off Linux."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    except OSError:
        return None
    before = _status("VmRSS")
    compare(current)
    return (_status("VmHWM") - before) / _MIB


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    out = os.fdopen(os.dup(1), "w")  # peers print
    os.dup2(2, 1)
    found = measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    json.dump(found, out)
    out.flush()

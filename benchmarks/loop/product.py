"""The product on a stream: `monitor once` over the whole backlog, with the shipped defaults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loop.streams import Cut, write_project


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One loop on one stream. `metric`: of each batch, in order; `attempts`: how many were made, `promoted` of them."""

    stream: str
    loop: str
    delay: int
    metric: tuple[float, ...]
    attempts: int
    promoted: int
    triggers: Mapping[str, int]
    rolled_back: int = 0
    seconds: float = 0.0

    @property
    def mean(self) -> float:
        return float(np.mean(self.metric))

    @property
    def attempts_per_100(self) -> float:
        return 100 * self.attempts / len(self.metric)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "mean": self.mean}


def play(cut: Cut, folder: Path, *, loop: str, delay: int, changes: Mapping[str, Any]) -> Played:
    """Run the loop in `folder`, which is left there to be looked at. Raises RuntimeError with what `monitor` said."""
    name, started = cut.stream.name, time.monotonic()
    config = write_project(cut, folder, changes)
    _monitor(config, "once", name)
    records = [r for r in _monitor(config, "history", name, "--last", "1000") if r["model_version"] is not None]
    realised = [record["performance"]["realised"] for record in records]
    if len(realised) != cut.pieces.batches or None in realised:
        raise RuntimeError(f"{name}: {len(realised)} of {cut.pieces.batches} batches were scored and got their labels")
    events = journal(config, name)
    attempts = [event for event in events if event["event"] == "attempt"]
    return Played(
        stream=name,
        loop=loop,
        delay=delay,
        metric=tuple(realised),
        attempts=len(attempts),
        promoted=sum(event["outcome"] == "promote" for event in attempts),
        triggers=dict(Counter(event["trigger"] for event in attempts)),
        rolled_back=sum(event["event"] == "rolled_back" for event in events),
        seconds=time.monotonic() - started,
    )


def journal(config: Path, name: str) -> list[dict[str, Any]]:
    """All events of a deployment, oldest first."""
    from monitor.bootstrap import open_application

    with open_application(config) as app:
        return app.store.events(name)


def _monitor(config: Path, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "monitor", "-c", str(config), *arguments, "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]

"""Cost of one batch to a detector of many columns, with the save of its state and the way back from it.

python -m benchmarks.detection.step --columns 200

CPU milliseconds per batch, one BLAS thread: the median of several runs of batches. As in the daemon, each step is
followed by the bytes of the state that are committed, and the next one begins by reading them. Location and spread of
every column are followed; batches come hour by hour.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import process_time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.detection.simulate import RATE
from monitor.domain.verdict import Channel
from monitor.domain.watch.channel_watch import ChannelWatch
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.rule import WatchRule
from monitor.domain.watch.season import Season
from monitor.domain.watch.streams import Measure, Observation, Stream, StreamSet

_START = datetime(2024, 1, 1, tzinfo=UTC)
_ROWS = 1000
_WARM_UP = 60


def measure(season: Season, columns: int, batches: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a step, of the save, of both, and of the restoring; size of the state in MB."""
    rule = WatchRule(false_alarms=RATE, incidents=RATE, season=season)
    plan = Plan.of(_streams(columns), rule)
    coming = _hours(np.random.default_rng(1), 2 * columns)
    watch = ChannelWatch(Channel.INPUTS, plan)
    watch.warm_up(next(coming) for _ in range(_WARM_UP))
    state = watch.state()
    runs = []
    for _ in range(repeats):
        spent = np.zeros(3)  # step, save, restore
        for seen in [next(coming) for _ in range(batches)]:
            begun = process_time()
            watch = ChannelWatch.restore(Channel.INPUTS, plan, state)
            restored = process_time()
            watch.update(seen)
            stepped = process_time()
            state = watch.state()
            spent += (stepped - restored, process_time() - stepped, restored - begun)
        runs.append(1e3 * spent / batches)
    step, save, restore = np.median(runs, axis=0)
    both = np.median([run[0] + run[1] for run in runs])
    told = {"step_ms": step, "save_ms": save, "step_and_save_ms": both, "restore_ms": restore}
    return {name: round(float(value), 2) for name, value in told.items()} | {"state_mb": round(len(state) / 1e6, 2)}


def _streams(columns: int) -> StreamSet:
    measures = (Measure.LOCATION, Measure.SPREAD)
    each = [Stream(column=f"x{c}", measure=m, variance=1 / 12) for c in range(columns) for m in measures]
    return StreamSet(streams=tuple(each), reference_rows=_WARM_UP * _ROWS)


def _hours(rng: np.random.Generator, streams: int) -> Iterator[Observation]:
    at = _START
    while True:
        values = rng.normal(0.0, np.sqrt(1 / 12 / _ROWS), streams)
        yield Observation(at=at, values=values, rows=np.full(streams, float(_ROWS)), outside=np.zeros(0))
        at += timedelta(hours=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=200)
    parser.add_argument("--batches", type=int, default=50, help="per run")
    parser.add_argument("--repeats", type=int, default=7, help="runs, of which the median counts")
    options = parser.parse_args()
    with threadpool_limits(1):
        for season in Season:
            found = measure(season, options.columns, options.batches, options.repeats)
            print(season.value, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

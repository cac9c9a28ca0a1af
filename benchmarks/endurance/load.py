"""Many deployments, each fed with one batch per period: how far behind the daemon is, and what it takes up."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.endurance.fleet import Fleet
from benchmarks.endurance.process import Daemon, until
from monitor.adapters.store.sql_store import SqlStore
from monitor.domain.version import Alias
from tests.support.project import HOUR, START, Project

_SAMPLE_SECONDS = 2.0
_LOOK_SECONDS = 0.1
_FRESH = "SELECT id, deployment, batch FROM records WHERE id > ? ORDER BY id"
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
_BACKLOG = 6  # batches of each deployment that come at once in the end
_DRAIN_SECONDS = 60.0  # given to what is still waiting when the last batch has come
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the daemon and its children take up at a moment. Memory is resident, in MiB; children share some of it."""

    at: float  # seconds since the first batch
    daemon_mib: float
    children_mib: float
    handles: int  # of the daemon
    threads: int
    children: int
    cpu_seconds: float  # of the daemon and its children


@dataclass(slots=True)
class Feeder:
    """Delivers batch k of every deployment k periods after the start, the deployments spread over the period."""

    fleet: Fleet
    period: float
    batches: int
    arrived: dict[tuple[str, str], float] = field(default_factory=dict)  # deployment, batch → wall time
    _bases: dict[str, pa.Table] = field(default_factory=dict)

    def run(self) -> None:
        began = time.time()
        for k in range(self.batches):
            self.deliver(k, since=began + k * self.period)

    def deliver(self, k: int, since: float = 0.0) -> None:
        """Batch k of every deployment, spread over a period that begins at `since`."""
        for place, name in enumerate(self.fleet.names):
            time.sleep(max(0.0, since + place / len(self.fleet.names) * self.period - time.time()))
            self._write(name, k)

    def _write(self, name: str, k: int) -> None:
        """The rows of batch 0 again under other ids and at other moments: to make new ones takes long."""
        base = self._bases.get(name)
        if base is None:
            base = self._bases[name] = self.fleet.make(name, 0).drop_columns(["y"])
        first = k * self.fleet.rows
        ids = pa.array([f"r{first + i}" for i in range(base.num_rows)])
        step = HOUR / base.num_rows
        moments = pa.array([START + k * HOUR + i * step for i in range(base.num_rows)], pa.timestamp("us", tz="UTC"))
        rows = base.set_column(0, "row_id", ids).set_column(1, "at", moments)
        batch = f"batch_{k:05d}"
        Project.write(self.fleet.incoming(name) / f"{batch}.parquet", rows)
        self.arrived[name, batch] = time.time()
        self.fleet.delivered[name] = k + 1


class Watcher:
    """Notes when each record appears in the database, to a tenth of a second."""

    def __init__(self, database: Path) -> None:
        self.done: dict[tuple[str, str], float] = {}  # deployment, batch → wall time
        self._database = database
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        newest = 0
        with closing(sqlite3.connect(self._database, timeout=30)) as connection:
            while not self._stop.wait(_LOOK_SECONDS):
                for place, name, batch in connection.execute(_FRESH, (newest,)).fetchall():
                    assert (name, batch) not in self.done, f"{name}: {batch} is recorded twice"
                    self.done[name, batch], newest = time.time(), place


def sample(daemon: psutil.Process, began: float) -> Taken:
    children = daemon.children(recursive=True)
    memories, spent = [], sum(daemon.cpu_times()[:2])
    for child in children:
        try:
            with child.oneshot():
                memories.append(child.memory_info().rss)
                spent += sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    with daemon.oneshot():
        return Taken(
            at=time.time() - began,
            daemon_mib=daemon.memory_info().rss / _MIB,
            children_mib=sum(memories) / _MIB,
            handles=daemon.num_fds(),
            threads=daemon.num_threads(),
            children=len(memories),
            cpu_seconds=spent,
        )


def growth(moments: Sequence[float], values: Sequence[float]) -> float:
    """Relative, over the second half of the time: Sen's slope [1]_ times that half, over the median there.

    References
    ----------
    .. [1] Sen (1968), Journal of the American Statistical Association 63(324), 1379-1389.
    """
    at, value = np.asarray(moments), np.asarray(values)
    second = at >= (at[0] + at[-1]) / 2
    at, value = at[second], value[second]
    one, other = np.triu_indices(len(at), 1)
    slope = np.median((value[other] - value[one]) / (at[other] - at[one]))
    return float(slope * (at[-1] - at[0]) / np.median(value))


def run(
    folder: Path, *, deployments: int, period: float, seconds: float, warm_up: float, rows: int
) -> dict[str, object]:
    """`warm_up` seconds of `seconds` count for nothing but the first models."""
    fleet = Fleet.create(folder, deployments, retrain={"mode": "off"}, every=f"{max(period, 0.1):g}s", rows=rows)
    daemon = Daemon(fleet.config)
    daemon.address()
    store = SqlStore(f"sqlite:///{fleet.database}")
    until(lambda: all(store.alias(name, Alias.CHAMPION) for name in fleet.names), 900, "the first models")
    feeder, watcher = Feeder(fleet, period, int(seconds / period)), Watcher(fleet.database)
    store.close()
    feeding = threading.Thread(target=feeder.run, daemon=True)
    began, process, samples = time.time(), psutil.Process(daemon.process.pid), []
    feeding.start()
    while feeding.is_alive():
        samples.append(sample(process, began))
        time.sleep(_SAMPLE_SECONDS)
    fed = time.time()
    behind = len(feeder.arrived) - len(watcher.done)
    while len(watcher.done) < len(feeder.arrived) and time.time() - fed < _DRAIN_SECONDS:
        time.sleep(_LOOK_SECONDS)
    speed = _backlog(feeder, watcher)
    watcher.stop()
    assert daemon.terminate() == 0
    counted = [s for s in samples if s.at >= warm_up]
    return {
        "deployments": deployments,
        "period_seconds": period,
        "rows": rows,
        "seconds": seconds,
        "delivered": len(feeder.arrived),
        "behind_at_the_end": behind,
        "recorded": len(watcher.done),
        **_speeds(feeder.arrived, watcher.done, began + warm_up, fed, period),
        "backlog_batches_per_second": speed,
        **_taken(counted),
    }


def _backlog(feeder: Feeder, watcher: Watcher) -> float | None:
    """Batches per second when there are ever more to work on; None when it had fallen behind before."""
    if len(watcher.done) < len(feeder.arrived):
        return None
    for k in range(feeder.batches, feeder.batches + _BACKLOG):
        feeder.deliver(k)
    began, before = time.time(), len(watcher.done)
    until(lambda: len(watcher.done) == len(feeder.arrived), 600, "the end of the backlog")
    return (len(watcher.done) - before) / (time.time() - began)


def _speeds(
    arrived: Mapping[tuple[str, str], float],
    done: Mapping[tuple[str, str], float],
    since: float,
    fed: float,
    period: float,
) -> dict[str, object]:
    """A schedule is missed when a batch is recorded later than two periods after it came: the next two are there."""
    latencies = np.array([at - arrived[key] for key, at in done.items() if arrived[key] >= since])
    in_time = [at for at in done.values() if since <= at <= fed]
    return {
        "batches_per_second": len(in_time) / (fed - since),
        "latency_seconds": {name: float(np.quantile(latencies, share)) for name, share in _QUANTILES.items()},
        "later_than_two_periods": int((latencies > 2 * period).sum()),
        "of": len(latencies),
    }


def _taken(samples: Sequence[Taken]) -> dict[str, object]:
    at = [s.at for s in samples]
    columns = {name: [float(getattr(s, name)) for s in samples] for name in Taken.__slots__ if name != "at"}
    both = [one + other for one, other in zip(columns["daemon_mib"], columns["children_mib"], strict=True)]
    spent = samples[-1].cpu_seconds - samples[0].cpu_seconds
    return {
        "cores": spent / (at[-1] - at[0]),
        "last": {name: values[-1] for name, values in columns.items()},
        "growth_second_half": {
            "daemon_mib": growth(at, columns["daemon_mib"]),
            "all_mib": growth(at, both),
            "handles": growth(at, columns["handles"]),
            "threads": growth(at, columns["threads"]),
        },
        "daemon_mib_every_tenth": columns["daemon_mib"][:: max(len(samples) // 10, 1)],
    }

"""The daemon is killed and told to stop, again and again, at random moments and at every stage of its work."""

from __future__ import annotations

import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import numpy as np
import psutil

from benchmarks.endurance.at_stage import STAGES, Blow, started
from benchmarks.endurance.fleet import BUSY, Fleet
from benchmarks.endurance.process import outlived
from benchmarks.endurance.truth import check_history, settle
from monitor.adapters.store.sql_store import SqlStore

RANDOM = "any moment"
_WAITING = 4  # batches of each deployment at any time
_PATIENCE_SECONDS = 120
_LOOK_SECONDS = 0.1  # how often the daemon is looked at
_LATER_SECONDS = 0.01  # after the beginning of a stage, in the mean


def plan(random: int, each: int, rng: np.random.Generator) -> list[Blow]:
    """`random` kills at any moment, and `each` of both signals at each stage, in random order."""
    blows = [Blow(None, signal.SIGKILL)] * random
    for stage in STAGES:
        for number in (signal.SIGKILL, signal.SIGTERM):
            blows += [Blow(stage, number, float(rng.exponential(_LATER_SECONDS))) for _ in range(each)]
    return [blows[k] for k in rng.permutation(len(blows))]


class Round:
    """One fleet, hit several times, then held to what an undisturbed twin has."""

    def __init__(self, folder: Path, seed: int, deployments: int) -> None:
        self.rng = np.random.default_rng([99, seed])
        self._make = lambda name: Fleet.create(folder / name, deployments, retrain=BUSY, seed=seed)
        self.fleet = self._make("hit")
        self._store: SqlStore | None = None
        self._starting = self._cycle = 0.0
        self.hits: Counter[tuple[str, str]] = Counter()

    def hit(self, blow: Blow, *, early: bool) -> None:
        """`early`: of a kill at any moment, while the daemon starts and not while it works."""
        self._feed()
        daemon = started(self.fleet.config, self.fleet.folder / "daemon.log", blow)
        children: dict[int, psutil.Process] = {}
        struck = blow.stage is not None or self._at_random(daemon, children, early=early and self._starting > 0)
        self._wait(daemon, children, struck=lambda: not daemon.is_alive())
        assert struck
        expected = 0 if blow.number is signal.SIGTERM else -blow.number
        assert daemon.exitcode == expected, f"it ended with {daemon.exitcode}"
        outlived(list(children.values()))
        self.hits[blow.stage or RANDOM, blow.number.name] += 1
        if (store := self._open()) is not None:
            check_history(store, self.fleet)

    def _at_random(self, daemon: BaseProcess, children: dict[int, psutil.Process], *, early: bool) -> bool:
        if early:
            sleep(self.rng.uniform(0, self._starting))
        else:
            self._starting = self._wait(daemon, children, self._more(1))
            self._cycle = self._cycle or self._wait(daemon, children, self._more(3))
            enough = monotonic() + self.rng.uniform(0, self._cycle)
            self._wait(daemon, children, lambda: monotonic() >= enough)
        alive = daemon.is_alive()
        children |= _below(daemon)
        daemon.kill()
        return alive

    def _more(self, count: int) -> Callable[[], bool]:
        """Whether so many more batches are recorded than now."""
        enough = self._recorded() + count
        return lambda: self._recorded() >= enough

    def _wait(self, daemon: BaseProcess, children: dict[int, psutil.Process], struck: Callable[[], bool]) -> float:
        """Feed the daemon and note its children until it happens; returns the seconds that took."""
        began = monotonic()
        while not struck():
            children |= _below(daemon)
            self._feed()
            sleep(_LOOK_SECONDS)
            if monotonic() - began > _PATIENCE_SECONDS:
                daemon.kill()
                raise AssertionError("a batch, a stage or the end of the daemon did not come")
        return monotonic() - began

    def conclude(self) -> int:
        """Compare with an undisturbed run; returns the number of batches."""
        twin = self._make("undisturbed")
        for name in twin.names:
            for _ in range(self.fleet.delivered[name]):
                twin.deliver(name)
        found, expected = settle(self.fleet), settle(twin)
        for name in twin.names:
            for what, values in expected[name].items():
                _same(f"{name}, {what}", found[name][what], values)
        return sum(self.fleet.delivered.values())

    def _recorded(self) -> int:
        store = self._open()
        return sum(store.count_records(name) for name in self.fleet.names) if store else 0

    def _feed(self) -> None:
        store = self._open()
        for name in self.fleet.names:
            recorded = store.count_records(name) if store else 0
            while self.fleet.delivered.get(name, 0) < recorded + _WAITING:
                self.fleet.deliver(name)

    def _open(self) -> SqlStore | None:
        if self._store is None and self.fleet.database.exists():
            self._store = SqlStore(f"sqlite:///{self.fleet.database}")
        return self._store


def _below(daemon: BaseProcess) -> dict[int, psutil.Process]:
    try:
        return {child.pid: child for child in psutil.Process(daemon.pid).children(recursive=True)}
    except psutil.NoSuchProcess:
        return {}


def _same(what: str, found: list[object], expected: list[object]) -> None:
    for place, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"{what}, {place}: {one} is not {other}, which an undisturbed run gives"
    assert len(found) == len(expected), f"{what}: {len(found)}, not {len(expected)}"


def run(random: int, each: int, *, per_round: int, deployments: int, seed: int) -> dict[str, object]:
    """Returns how often each stage was hit and how many batches were held to the undisturbed run."""
    rng = np.random.default_rng(seed)
    blows, hits, batches = plan(random, each, rng), Counter[tuple[str, str]](), 0
    for k in range(0, len(blows), per_round):
        with _kept_on_failure("kills-") as folder:
            one = Round(folder, seed + k, deployments)
            for blow in blows[k : k + per_round]:
                one.hit(blow, early=rng.random() < 0.5)
                print(f"{blow.number.name} at {blow.stage or RANDOM}", file=sys.stderr, flush=True)
            batches += one.conclude()
        hits += one.hits
        print(f"{hits.total()} of {len(blows)} hits, {batches} batches as undisturbed", flush=True)
    return {
        "hits": [{"stage": stage, "signal": number, "times": n} for (stage, number), n in sorted(hits.items())],
        "deployments": deployments,
        "batches": batches,
    }


@contextmanager
def _kept_on_failure(prefix: str) -> Iterator[Path]:
    """A temporary folder that stays when what is done in it fails, to be looked at."""
    folder = Path(mkdtemp(prefix=prefix))
    print(f"in {folder}", flush=True)
    yield folder
    shutil.rmtree(folder)

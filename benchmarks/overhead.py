"""What a batch costs in the whole pipeline, beside what its model alone costs.

python -m benchmarks.overhead [--model gradient_boosting tabular_network] [--rows 10000]

A project is made in a temporary folder, with 60 features, a first model and a few batches of history. Then each batch
is given in turn to both: *bare* reads the Parquet file with pandas and calls `predict`, in a process that has the model
loaded; *pipeline* is a pass of the application as the daemon makes it, from the file that it finds to the committed
record, with the model loaded in the scoring process. CPU is that of all threads, of the scoring process too; wall time
includes waiting for the disk. The ratios are those of each batch, of which the median and the quartiles are shown.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.speed import save
from monitor.adapters.model_code import load_code, load_model
from monitor.bootstrap import Application, open_application
from monitor.domain.model import Model

MODELS = Path(__file__).parent.parent / "models"
RESULTS = Path(__file__).parent / "results"
_NUMERIC, _CATEGORICAL, _LEVELS = 50, 10, 12
_START = datetime(2026, 1, 5, tzinfo=UTC)
_DAY = timedelta(days=1)
_TRAINING_DAYS = 40
_HISTORY = 6  # batches before the first that is measured: the detector has warmed up, the model is loaded


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One batch: what it cost without and with the pipeline, and the wall time of its stages."""

    bare: Spent
    pipeline: Spent
    stages: dict[str, float]


def measure(model: str, rows: int, repeats: int) -> list[Measured]:
    with tempfile.TemporaryDirectory(prefix="overhead-") as made:
        project = Path(made)
        days = _project(project, model, rows)
        with _at_work(project) as app:
            for _ in range(_HISTORY):
                next(days)
                app.once()
            gc.freeze()  # as the daemon does when it starts
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
                bare = partial(beside.submit, _bare, MODELS / f"{model}.py", _weights(app))
                _one(app, bare, next(days), other_way=False)
                return [_one(app, bare, next(days), other_way=k % 2 == 1) for k in range(repeats)]


def _one(app: Application, bare: Callable[[Path], Future[Spent]], file: Path, *, other_way: bool) -> Measured:
    """Every second batch the other way round, so that neither is always the one that finds the file in the cache."""
    sides = {"bare": lambda: bare(file).result(), "pipeline": lambda: _pipeline(app)}
    parts = {name: sides[name]() for name in sorted(sides, reverse=other_way)}
    record = app.store.record("wide", file.stem)
    assert record is not None and record["rows"] > 0
    return Measured(parts["bare"], parts["pipeline"], record["seconds"])


@cache
def _loaded(code: Path, weights: Path) -> Model:
    return load_model(load_code(code), weights, ())


def _bare(code: Path, weights: Path, file: Path) -> Spent:
    model = _loaded(code, weights)
    cpu, wall = time.process_time(), time.perf_counter()
    frame = pd.read_parquet(file, columns=[*_names()])
    for name in _categories():
        frame[name] = frame[name].astype("category")
    model.predict(frame)
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def _pipeline(app: Application) -> Spent:
    child = _scoring_process(app)
    cpu, wall = time.process_time() + _cpu_of(child), time.perf_counter()
    app.once()
    return Spent(time.process_time() + _cpu_of(child) - cpu, time.perf_counter() - wall)


def _cpu_of(pid: int) -> float:
    """CPU seconds of another process, all threads, by its clock as `clock_getcpuclockid` of Linux numbers it."""
    return time.clock_gettime(~pid << 3 | 2)


def _scoring_process(app: Application) -> int:
    pid: int = app.runtime("wide").scorer.pid  # type: ignore[attr-defined]  # a ScoringWorker
    return pid


def _weights(app: Application) -> Path:
    champion = app.runtime("wide").champion()
    assert champion is not None
    return champion.bundle.folder / "weights"


@contextmanager
def _at_work(project: Path) -> Iterator[Application]:
    with open_application(project / "config") as app:
        app.once()  # fits the first model
        yield app


def _project(project: Path, model: str, rows: int) -> Iterator[Path]:
    """Write it; the files of batches are written as they are asked for, a day each."""
    for folder in ("config/deployments", "incoming", "labels"):
        (project / folder).mkdir(parents=True)
    (project / "config" / "monitor.yaml").write_text(yaml.safe_dump({"log": {"format": "json"}}))
    (project / "config" / "deployments" / "wide.yaml").write_text(yaml.safe_dump(_deployment(model)))
    rng = np.random.default_rng(1)
    training = [_rows(rng, 1000, day) for day in range(-_TRAINING_DAYS, 0)]
    pq.write_table(pa.concat_tables(training), project / "training.parquet")
    return _days(project / "incoming", rng, rows)


def _days(folder: Path, rng: np.random.Generator, rows: int) -> Iterator[Path]:
    day = 0
    while True:
        file = folder / f"day-{day:03d}.parquet"
        pq.write_table(_rows(rng, rows, day).drop_columns(["y"]), file)
        yield file
        day += 1


def _rows(rng: np.random.Generator, n: int, day: int) -> pa.Table:
    """Normal, skewed and whole numbers, a tenth of the columns with gaps; levels as text; a label they bear on."""
    columns: dict[str, Any] = {
        "id": [f"{day:+04d}-{i:07d}" for i in range(n)],
        "at": pa.array([_START + day * _DAY + i * _DAY / n for i in range(n)], pa.timestamp("us", tz="UTC")),
    }
    x = rng.normal(size=(_NUMERIC, n))
    for i, values in enumerate(x):
        kind = i % 5
        held = np.exp(values) if kind == 1 else np.round(10 * values) if kind == 2 else values
        columns[f"x{i}"] = pa.array(held, mask=rng.random(n) < 0.02) if i % 10 == 0 else held
    odds = np.arange(1, _LEVELS + 1) / np.arange(1, _LEVELS + 1).sum()
    levels = rng.choice(_LEVELS, (_CATEGORICAL, n), p=odds)
    for i, codes in enumerate(levels):
        columns[f"c{i}"] = np.array([f"level {j}" for j in range(_LEVELS)])[codes]
    pull = x[:8].sum(axis=0) / 3 + (levels[0] - _LEVELS / 2) / 4
    columns["y"] = np.where(rng.random(n) < 1 / (1 + np.exp(-pull)), "yes", "no")
    return pa.table(columns)


def _categories() -> list[str]:
    return [f"c{i}" for i in range(_CATEGORICAL)]


def _names() -> list[str]:
    return [*(f"x{i}" for i in range(_NUMERIC)), *_categories()]


def _deployment(model: str) -> dict[str, Any]:
    kinds = {name: "categorical" if name in _categories() else "numeric" for name in _names()}
    return {
        "name": "wide",
        "model": {"code": str(MODELS / f"{model}.py")},
        "training": {"path": "training.parquet"},
        "schema": {
            "id": "id",
            "timestamp": "at",
            "label": {"name": "y", "kind": "binary", "positive": "yes"},
            "features": kinds,
        },
        "batches": {"path": "incoming/*.parquet", "settle": "0s"},
        "labels": {"path": "labels/*.parquet", "delay": "1d", "settle": "0s"},
        "schedule": {"every": "1d"},
        "performance": {"metric": "accuracy"},
    }


def table(found: dict[str, list[Measured]]) -> str:
    """Markdown: milliseconds and ratios per model, then the least that each stage took: other work lengthens it."""
    lines = ["| model | bare, CPU ms | pipeline, CPU ms | ratio | ratio of wall times |", "|---|---:|---:|---:|---:|"]
    for model, runs in found.items():
        bare, pipeline = (1e3 * np.median([getattr(r, side).cpu for r in runs]) for side in ("bare", "pipeline"))
        ratios = (
            _quartiles([getattr(r.pipeline, clock) / getattr(r.bare, clock) for r in runs]) for clock in ("cpu", "wall")
        )
        lines.append(f"| {model} | {bare:.0f} | {pipeline:.0f} | {' | '.join(ratios)} |")
    stages = list(dict.fromkeys(name for runs in found.values() for r in runs for name in r.stages))
    lines += ["", f"| wall ms | {' | '.join(stages)} | everything else |", f"|---|{'---:|' * (len(stages) + 1)}"]
    for model, runs in found.items():
        spent = [1e3 * min(r.stages.get(name, 0.0) for r in runs) for name in stages]
        rest = 1e3 * min(r.pipeline.wall - sum(r.stages.values()) for r in runs)
        lines.append(f"| {model} | {' | '.join(f'{ms:.1f}' for ms in (*spent, rest))} |")
    return "\n".join(lines)


def _quartiles(ratios: list[float]) -> str:
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return f"**{middle:.2f}** ({low:.2f} to {high:.2f})"


def _plain(model: str, run: Measured) -> dict[str, Any]:
    sides = {
        f"{side}_{clock}": getattr(getattr(run, side), clock)
        for side in ("bare", "pipeline")
        for clock in ("cpu", "wall")
    }
    return {"model": model, **sides, "stages": run.stages}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overhead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["gradient_boosting", "tabular_network"], metavar="NAME")
    parser.add_argument("--rows", type=int, default=10_000, help="of a batch")
    parser.add_argument("--repeats", type=int, default=21, help="batches that are measured")
    parser.add_argument("--results", type=Path, default=RESULTS / "overhead.json", metavar="FILE")
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = {model: measure(model, chosen.rows, chosen.repeats) for model in chosen.model}
    save([_plain(model, run) for model, runs in found.items() for run in runs], chosen.results)
    print(table(found))


if __name__ == "__main__":
    main()

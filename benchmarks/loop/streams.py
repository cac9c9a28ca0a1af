"""The recorded streams, the protocol they are played by, and the marks they are held to.

The first model is trained on the first fifth of the rows; the rest comes in about a hundred batches. `never` is the
frozen first model, `best` the best of 1,100 loops in hindsight, `accept` and `good` lie between: all measured once on
these streams, with labels one batch late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from monitor.demo.cut import CutStream, cut_stream

HERE = Path(__file__).parent
TREES = HERE.parents[1] / "models" / "gradient_boosting.py"
FOREST = HERE / "forest.py"
NETWORK = HERE.parents[1] / "models" / "tabular_network.py"
NETWORK_PARAMS = {"hidden": [32, 16], "epochs": 15, "batch_size": 256}  # small: twenty attempts are to be affordable
FIRST = 0.2  # of the rows: for the first model


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """`rows`: of a batch, about; `every`: of how many recorded rows one is taken."""

    name: str
    file: str
    label: Mapping[str, str]
    leave_out: tuple[str, ...]
    metric: str
    rows: int
    never: float
    accept: float
    good: float
    best: float
    timestamp: str | None = None
    categorical: tuple[str, ...] = ()
    every: int = 1
    model: Path = TREES

    def score(self, mean: float) -> float:
        """0: as good as never retraining; 1: as the best loop in hindsight."""
        return (mean - self.never) / (self.best - self.never)

    def better(self, mean: float, than: float) -> bool:
        return mean < than if self.metric == "mae" else mean > than


STREAMS = {
    stream.name: stream
    for stream in (
        Stream(
            name="elec2", file="elec2", label={"name": "class", "kind": "binary", "positive": "UP"},
            timestamp="timestamp", leave_out=("date",), categorical=("day",), metric="accuracy", rows=336,
            never=0.733, accept=0.756, good=0.763, best=0.771,
        ),
        Stream(
            name="noaa", file="noaa_weather", label={"name": "target", "kind": "binary", "positive": "1"},
            timestamp="timestamp", leave_out=(), metric="accuracy", rows=145,
            never=0.782, accept=0.793, good=0.797, best=0.800,
        ),
        Stream(
            name="bike", file="bike_sharing", label={"name": "cnt", "kind": "regression"}, timestamp="timestamp",
            leave_out=("instant", "yr", "casual", "registered"), metric="mae", rows=139,
            never=72.9, accept=52.0, good=45.0, best=38.1,
        ),
        Stream(
            name="insects", file="insects_gradual_balanced", label={"name": "class", "kind": "multiclass"},
            leave_out=("seq",), metric="accuracy", rows=193,
            never=0.330, accept=0.545, good=0.616, best=0.688,
        ),
        Stream(
            name="digits", file="digits_mnist_to_usps", label={"name": "label", "kind": "multiclass"},
            leave_out=("seq", "source"), metric="accuracy", rows=72, every=2, model=FOREST,
            never=0.759, accept=0.858, good=0.892, best=0.925,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cut:
    """A stream as a deployment would be given it, and the deployment file that fits it."""

    stream: Stream
    pieces: CutStream
    deployment: Mapping[str, Any]


def cut(stream: Stream, data: Path, folder: Path, *, delay: int) -> Cut:
    """Write training file, batches and labels (`delay` batches late) below `folder`."""
    recorded = data / f"{stream.file}.parquet"
    if stream.every > 1:
        rows = pq.read_table(recorded)
        recorded = folder / "recorded.parquet"
        pq.write_table(rows.take(list(range(0, rows.num_rows, stream.every))), recorded)
    count = pq.read_metadata(recorded).num_rows
    pieces = cut_stream(
        recorded,
        folder / "data",
        label=stream.label["name"],
        timestamp=stream.timestamp,
        drop=stream.leave_out,
        first=FIRST,
        batches=round((count - int(FIRST * count)) / stream.rows),
        labels_late=delay,
    )
    return Cut(stream, pieces, _deployment(stream, pieces))


def _deployment(stream: Stream, pieces: CutStream) -> dict[str, Any]:
    """What the user has to say, and nothing else: all that can have a default has it."""
    taken = {"row_id", "timestamp", stream.label["name"]}
    columns = [name for name in pq.read_schema(pieces.training).names if name not in taken]
    kinds = {name: "categorical" if name in stream.categorical else "numeric" for name in columns}
    return {
        "name": stream.name,
        "model": {"code": str(stream.model), "timeout": "5m"},
        "training": {"path": str(pieces.training)},
        "schema": {
            "id": "row_id",
            "timestamp": "timestamp",
            "label": dict(stream.label),
            "features": {"image": "image"} if "image" in columns else kinds,
        },
        "batches": {"path": pieces.incoming, "settle": "0s"},
        "labels": {"path": pieces.labels, "available_at": "available_at", "settle": "0s"},
        "schedule": {"every": "5m"},
        "performance": {"metric": stream.metric},
    }


def write_project(cut: Cut, folder: Path, changes: Mapping[str, Any]) -> Path:
    """A user's configuration folder; `changes` overrides sections of the deployment file, key by key."""
    plain = dict(cut.deployment)
    for section, value in changes.items():
        plain[section] = {**plain.get(section, {}), **value} if isinstance(value, Mapping) else value
    config = folder / "config"
    (config / "deployments").mkdir(parents=True)
    (config / "deployments" / f"{cut.stream.name}.yaml").write_text(yaml.safe_dump(plain))
    process = {"data": str(folder / "var"), "log": {"format": "json"}, "trust": ["sklearn.tree._tree.Tree"]}
    (config / "monitor.yaml").write_text(yaml.safe_dump(process))
    return config

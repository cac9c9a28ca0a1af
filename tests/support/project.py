"""A small project on disk, as a user would have it: configuration, model code, training rows, batches, labels."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

TINY_MODEL = Path(__file__).with_name("tiny_model.py")
START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make_rows(
    n: int,
    rng: np.random.Generator,
    *,
    start: datetime,
    first_id: int,
    shift: float = 0.0,
    flipped: bool = False,
    share: float | None = None,
) -> pa.Table:
    """Two numeric columns and a category; the label follows `a`, or its opposite when the relation is flipped.

    About half of the rows are UP; with a `share`, so many, and for the rest the rows of each class are as ever.
    """
    drawn = n if share is None else 40 * n
    a, b = rng.normal(shift, 1.0, drawn), rng.normal(0.0, 1.0, n)
    up = rng.random(drawn) < 1 / (1 + np.exp(-2.5 * (a - shift) * (-1 if flipped else 1)))
    if share is not None:
        wanted = round(share * n)
        chosen = rng.permutation(np.concatenate([np.flatnonzero(up)[:wanted], np.flatnonzero(~up)[: n - wanted]]))
        a, up = a[chosen], up[chosen]
    at = [start + i * HOUR / n for i in range(n)]
    return pa.table(
        {
            "row_id": pa.array([f"r{first_id + i}" for i in range(n)]),
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "a": a,
            "b": b,
            "colour": rng.choice(["red", "green", "blue"], n),
            "y": np.where(up, "UP", "DOWN"),
        }
    )


@dataclass(slots=True)
class Project:
    """One deployment called `tiny`. Batch k covers hour k after `START`; its labels are due at the end of k + 1."""

    folder: Path
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    batches: int = 0
    batch_rows: int = 120

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def incoming(self) -> Path:
        return self.folder / "incoming"

    @property
    def labels(self) -> Path:
        return self.folder / "labels"

    @classmethod
    def create(cls, folder: Path, *, model: Path = TINY_MODEL, changes: dict[str, Any] | None = None) -> Project:
        """`changes` overrides sections of the deployment file, key by key."""
        project = cls(folder)
        for part in (project.config / "deployments", project.incoming, project.labels, folder / "models"):
            part.mkdir(parents=True)
        shutil.copyfile(model, folder / "models" / "model.py")
        project.configure(changes or {})
        monitor = {"http": {"bind": "127.0.0.1:0"}, "log": {"format": "json"}}
        (project.config / "monitor.yaml").write_text(yaml.safe_dump(monitor))
        training = make_rows(800, project.rng, start=START - 40 * HOUR, first_id=1_000_000)
        pq.write_table(training, folder / "training.parquet")
        return project

    def configure(self, changes: dict[str, Any]) -> None:
        plain = deployment()
        for section, value in changes.items():
            merged = isinstance(value, dict) and isinstance(plain.get(section), dict)
            plain[section] = {**plain[section], **value} if merged else value
        (self.config / "deployments" / "tiny.yaml").write_text(yaml.safe_dump(plain))

    def add_batch(self, *, labels: bool = True, **how: Any) -> str:
        """Write the next batch and its labels; returns its name."""
        return self.write_batch(self.next_rows(**how), labels=labels)

    def write_batch(self, rows: pa.Table, *, labels: bool = True) -> str:
        """As the newest batch, of the rows that `next_rows` gave last."""
        name = f"batch_{self.batches - 1:03d}"
        if labels:
            self.write(self.labels / f"{name}.parquet", rows.select(["row_id", "y"]))
        self.write(self.incoming / f"{name}.parquet", rows.drop_columns(["y"]))
        return name

    def next_rows(self, **how: Any) -> pa.Table:
        k = self.batches
        self.batches += 1
        rows = make_rows(self.batch_rows, self.rng, start=START + k * HOUR, first_id=k * self.batch_rows, **how)
        return rows

    @staticmethod
    def write(file: Path, rows: pa.Table) -> None:
        """As a careful sender does it: under another name, then renamed."""
        hidden = file.with_name(f".{file.name}.tmp")
        pq.write_table(rows, hidden)
        hidden.rename(file)


def deployment() -> dict[str, Any]:
    return {
        "name": "tiny",
        "model": {"code": "models/model.py"},
        "training": {"path": "training.parquet"},
        "schema": {
            "id": "row_id",
            "timestamp": "at",
            "label": {"name": "y", "kind": "binary", "positive": "UP"},
            "features": {"a": "numeric", "b": "numeric", "colour": "categorical"},
        },
        "batches": {"path": "incoming/*.parquet", "settle": "0s"},
        "labels": {"path": "labels/*.parquet", "delay": "1h", "settle": "0s"},
        "schedule": {"every": "1s"},
        "performance": {"metric": "accuracy"},
        "retrain": {"min_labels": 200, "max_per_week": 1000},
    }

"""Several deployments of one small model on disk, and their batches, which are the same whenever they are made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.support.project import HOUR, START, TINY_MODEL, Project, deployment, make_rows

BUSY = {
    "min_labels": 600,
    "min_batches": 1,
    "cooldown": 0,
    "max_per_week": 10_000,
    "when": {"new_labels": 0.3},
}  # an attempt every five batches


@dataclass(slots=True)
class Fleet:
    """Batch k covers hour k after `START`; its labels are due at the end of hour k + 1. `seed` makes the rows."""

    folder: Path
    names: tuple[str, ...]
    rows: int = 120  # of a batch
    seed: int = 0
    delivered: dict[str, int] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def database(self) -> Path:
        return self.folder / "var" / "monitor.db"

    def incoming(self, name: str) -> Path:
        return self.folder / "incoming" / name

    @classmethod
    def create(
        cls,
        folder: Path,
        count: int,
        *,
        retrain: Mapping[str, Any],
        process: Mapping[str, Any] | None = None,
        every: str = "100ms",
        rows: int = 120,
        seed: int = 0,
    ) -> Fleet:
        """`retrain` and `every` are those of all deployments, `process` is added to `monitor.yaml`."""
        fleet = cls(folder, tuple(f"d{k:02d}" for k in range(count)), rows, seed)
        (fleet.config / "deployments").mkdir(parents=True)
        (folder / "models").mkdir()
        shutil.copyfile(TINY_MODEL, folder / "models" / "model.py")
        plain = {"http": {"bind": "127.0.0.1:0"}, "log": {"format": "json"}, **(process or {})}
        (fleet.config / "monitor.yaml").write_text(yaml.safe_dump(plain))
        training = make_rows(800, np.random.default_rng(seed), start=START - 40 * HOUR, first_id=10_000_000)
        pq.write_table(training, folder / "training.parquet")
        steady = {"max_latency_ratio": 1000}  # whether a candidate is promoted must not depend on what else runs
        for name in fleet.names:
            fleet.configure(name, {"retrain": dict(retrain), "schedule": {"every": every}, "gate": steady})
        return fleet

    def configure(self, name: str, changes: Mapping[str, Any]) -> None:
        """Write a deployment file; `changes` replaces whole sections."""
        for kind in ("incoming", "labels"):
            (self.folder / kind / name).mkdir(parents=True, exist_ok=True)
        plain = deployment() | {"name": name}
        plain["batches"] |= {"path": f"incoming/{name}/*.parquet"}
        plain["labels"] |= {"path": f"labels/{name}/*.parquet"}
        (self.config / "deployments" / f"{name}.yaml").write_text(yaml.safe_dump(plain | dict(changes)))

    def deliver(self, name: str, *, labels: bool = True) -> str:
        """Write the next batch of a deployment, and its labels before it; returns the batch's name."""
        k = self.delivered.get(name, 0)
        rows = self.make(name, k)
        batch = f"batch_{k:05d}"
        if labels:
            Project.write(self.folder / "labels" / name / f"{batch}.parquet", rows.select(["row_id", "y"]))
        Project.write(self.incoming(name) / f"{batch}.parquet", rows.drop_columns(["y"]))
        self.delivered[name] = k + 1
        return batch

    def make(self, name: str, k: int) -> pa.Table:
        """Rows of batch k of a deployment, labels included."""
        rng = np.random.default_rng([self.seed, self.names.index(name), k])
        return make_rows(self.rows, rng, start=START + k * HOUR, first_id=k * self.rows)

    def batches(self, name: str) -> Sequence[str]:
        """Those that were delivered, in event order."""
        return [f"batch_{k:05d}" for k in range(self.delivered.get(name, 0))]

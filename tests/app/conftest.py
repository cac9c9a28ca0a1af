"""An application at work on a small project: what arrives is judged at once, together with good neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.adapters.safe_names import safe_name
from monitor.bootstrap import Application, open_application
from monitor.domain.batch import DeliveryKind, LedgerEntry
from tests.support.project import Project

ANYTHING = {
    "batches": {"path": "incoming/*", "settle": "0s"},
    "labels": {"path": "labels/*", "delay": "1h", "settle": "0s"},
    "retrain": {"mode": "off"},
    "detect": {"rule": "per_batch", "alpha": 1e-7},  # a hundred batches without one alarm by chance
}


@dataclass(slots=True)
class Bench:
    """A project and the application that works on it; what a test leaves behind is history for the next one."""

    project: Project
    app: Application

    def put(self, name: str, content: bytes, folder: str = "incoming") -> Path:
        """As a careful sender does it: under another name, then renamed."""
        file = self.project.folder / folder / name
        hidden = file.with_name(f".{name}.tmp")
        hidden.write_bytes(content)
        hidden.rename(file)
        return file

    def put_labels(self, name: str, ids: list[str], labels: list[str]) -> Path:
        file = self.project.labels / f"{name}.parquet"
        self.project.write(file, pa.table({"row_id": ids, "y": labels}))
        return file

    def once(self) -> dict[str, dict[str, Any]]:
        """One pass; the records as they stand after it, by batch, of the batches that it judged."""
        return {judged.batch: self.record(judged.batch) for judged in self.app.once()}

    def record(self, batch: str) -> dict[str, Any]:
        record = self.app.store.record("tiny", batch)
        assert record is not None
        return record

    def quarantined(self, delivery: str) -> list[dict[str, Any]]:
        file = self.quarantine_file(delivery)
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist() if file.exists() else []
        return rows

    def quarantine_file(self, delivery: str) -> Path:
        return self.project.folder / "var" / "collected" / "tiny" / "quarantine" / f"{safe_name(delivery)}.parquet"

    def collected_ids(self, batch: str) -> list[str]:
        ids: list[str] = self.app.runtime("tiny").collected.ids(batch).to_pylist()
        return ids

    def entry(self, name: str, kind: DeliveryKind = DeliveryKind.BATCH) -> LedgerEntry:
        return next(e for e in self.app.store.entries("tiny", kind) if e.name == name)

    def events(self, event: str) -> list[dict[str, Any]]:
        return self.app.store.events("tiny", event=event)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """With a first model and nothing else; retraining is off, files of every kind are taken."""
    project = Project.create(tmp_path_factory.mktemp("bench") / "project", changes=ANYTHING)
    with open_application(project.config) as app:
        assert app.once() == []
        yield Bench(project, app)

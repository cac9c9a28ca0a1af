"""Labels late, missing, twice, contradictory, in any order: the end is what all of them say, and alarms come once."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from monitor.bootstrap import Application, open_application
from tests.support.project import HOUR, START, Project

BATCHES, ROWS, TURN = 24, 40, 10  # from batch `TURN` on the relation is flipped, so that there is something to raise
NEVER, TWICE, CORRECTED, CONTRADICTORY = 0.3, 0.1, 0.1, 0.05
SETTINGS = {
    "retrain": {"mode": "off"},
    "detect": {"false_alarms": "1 per 10 batches"},
    "labels": {"available_at": "known", "matured_at": 0.6, "hold": 0},
}
OTHER = {"UP": "DOWN", "DOWN": "UP"}
Row = tuple[str, str, datetime]  # id, label, available_at


@dataclass(frozen=True)
class File:
    """A label file, and the batch after which it comes."""

    name: str
    comes: int
    rows: tuple[Row, ...]


@dataclass
class Plan:
    """What is delivered when; `expected` is the label that counts in the end, of the rows that get one."""

    files: dict[int, list[File]] = field(default_factory=lambda: defaultdict(list))
    expected: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, comes: int, rows: Sequence[Row]) -> None:
        self.files[comes].append(File(name, comes, tuple(rows)))


def planned(rows: Sequence[pa.Table], delays: Sequence[int], rng: np.random.Generator) -> Plan:
    plan = Plan()
    for k, (batch, delay) in enumerate(zip(rows, delays, strict=True)):
        known = START + (k + 1 + delay) * HOUR
        kind = rng.random(ROWS)
        labelled = [
            (row["row_id"], row["y"], u, extra)
            for row, u, extra in zip(batch.to_pylist(), kind, rng.random(ROWS), strict=True)
            if u >= NEVER
        ]
        first, again, later = [], [], []
        for name, label, u, extra in labelled:
            if u < NEVER + CONTRADICTORY:  # one file says both: neither counts
                first += [[(name, label, known), (name, OTHER[label], known)]]
                continue
            plan.expected[name] = label
            first.append([(name, label, known)])
            if extra < TWICE:
                again.append((name, label, known))
            elif extra < TWICE + CORRECTED:
                later.append((name, OTHER[label], known + HOUR))
                plan.expected[name] = OTHER[label]
        half = len(first) // 2
        plan.add(f"{k:02d}-a", k + delay, [row for said in first[:half] for row in said])
        plan.add(f"{k:02d}-b", k + delay, [row for said in first[half:] for row in said])
        plan.add(f"{k:02d}-again", k + delay + int(rng.integers(0, 4)), again)
        plan.add(
            f"{k:02d}-later", k + delay - int(rng.integers(0, 2)), later
        )  # a correction may overtake what it mends
    return plan


@dataclass
class Life:
    """An application that is given batch after batch; looks at every verdict after every pass."""

    project: Project
    app: Application
    judged: dict[str, Any] = field(default_factory=dict)

    def deliver(self, files: Sequence[File]) -> None:
        for file in files:
            columns = list(zip(*file.rows, strict=True)) or [(), (), ()]
            known = pa.array(columns[2], pa.timestamp("us", "UTC"))
            table = pa.table({"row_id": pa.array(columns[0], pa.string()), "y": pa.array(columns[1], pa.string())})
            self.project.write(self.project.labels / f"{file.name}.parquet", table.append_column("known", known))

    def work(self) -> None:
        self.app.once()
        for record in self.app.store.records("tiny"):
            verdict = record["verdicts"]["performance"]
            if record["batch"] in self.judged:
                assert verdict == self.judged[record["batch"]], "a window is judged once"
            elif verdict["judged"] is not None:
                self.judged[record["batch"]] = verdict

    def accuracy(self, batch: str, labels: dict[str, str]) -> tuple[float | None, float]:
        """By hand, from the stored scores: accuracy on the labelled rows, and their share."""
        collected = self.app.runtime("tiny").collected
        said = np.where(collected.scores(batch)[:, 1] > 0.5, "UP", "DOWN")
        hits = [said[i] == labels[row] for i, row in enumerate(collected.ids(batch).to_pylist()) if row in labels]
        return (float(np.mean(hits)) if hits else None), len(hits) / ROWS


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """With a first model, before the first batch."""
    project = Project.create(tmp_path_factory.mktemp("orders") / "project", changes=SETTINGS)
    project.batch_rows = ROWS
    with open_application(project.config) as app:
        app.once()
    return project


@contextmanager
def life(start: Project) -> Iterator[Life]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(start.folder, Path(folder) / "project")
        project = Project(Path(folder) / "project", rng=np.random.default_rng(11), batch_rows=ROWS)
        with open_application(project.config) as app:
            yield Life(project, app)


@settings(
    max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(st.sampled_from([1, 5, 20]), min_size=BATCHES, max_size=BATCHES), st.randoms(use_true_random=False))
def test_the_end_is_what_all_labels_say_and_no_alarm_is_raised_twice(start, delays, random):
    with life(start) as one:
        rows = [one.project.next_rows(flipped=k >= TURN) for k in range(BATCHES)]
        plan = planned(rows, delays, np.random.default_rng(random.randrange(2**32)))
        for k in range(BATCHES):
            one.project.write(one.project.incoming / f"batch_{k:03d}.parquet", rows[k].drop_columns(["y"]))
            one.deliver(random.sample(plan.files[k], len(plan.files[k])))
            one.work()
        overdue = [file for k in sorted(plan.files) if k >= BATCHES for file in plan.files[k]]
        for part in np.array_split(np.array(random.sample(overdue, len(overdue)), dtype=object), 3):
            one.deliver(part.tolist())
            one.work()
        records = one.app.store.records("tiny")
        for record in records:
            accuracy, coverage = one.accuracy(record["batch"], plan.expected)
            assert record["performance"]["realised"] == accuracy
            assert record["performance"]["labels_coverage"] == pytest.approx(coverage)
        assert len(one.judged) >= BATCHES // 2
        raised = [verdict for verdict in one.judged.values() if verdict["raised"]]
        assert len(raised) == max(verdict["alarms"] for verdict in one.judged.values()) >= 1

"""Estimated against realised performance on real streams, beside NannyML's CBPE on the same scores.

python -m benchmarks.labels.real_streams ../shared/data

A model is fitted on the first 60% of the first fifth of each stream and frozen; the rest of that fifth is held out,
for both. What follows is cut into 100 batches, each estimated without its labels. Gradient boosting; for the digits a
random forest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from benchmarks.contenders import CONTENDERS, python_of
from monitor.domain.held_out import HeldOut
from monitor.domain.performance_estimate import ClassEstimator
from monitor.domain.schema import Kind, Schema
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.performance import metric

_BATCHES = 100
_FITTED = 0.6
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Stream:
    file: str
    label: str
    leave_out: tuple[str, ...]
    metrics: tuple[str, ...]
    categorical: tuple[str, ...] = ()


STREAMS = {
    "elec2": Stream(
        file="elec2", label="class", leave_out=("timestamp", "date"), metrics=("accuracy", "roc_auc", "f1"),
        categorical=("day",),
    ),
    "noaa": Stream(
        file="noaa_weather", label="target", leave_out=("timestamp",), metrics=("accuracy", "roc_auc", "f1")
    ),
    "insects": Stream(file="insects_gradual_balanced", label="class", leave_out=("seq",), metrics=("accuracy",)),
    "digits": Stream(file="digits_mnist_to_usps", label="label", leave_out=("seq", "source"), metrics=("accuracy",)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scored:
    """The stream with a frozen model's scores; the first `fitted` rows were fitted on, as many as `live` are known."""

    table: pd.DataFrame
    schema: Schema
    scores: np.ndarray
    target: np.ndarray
    fitted: int
    live: int

    @classmethod
    def of(cls, stream: Stream, folder: Path) -> Scored:
        frame = pd.read_parquet(folder / f"{stream.file}.parquet")
        features = [c for c in frame.columns if c not in (*stream.leave_out, stream.label)]
        kinds = {c: _kind(frame[c], c in stream.categorical) for c in features}
        live = len(frame) // 5
        fitted = int(live * _FITTED)
        target = np.unique(frame[stream.label], return_inverse=True)[1]
        inputs = _numbers(frame[features], kinds)
        model = (
            RandomForestClassifier(100, random_state=0)
            if Kind.IMAGE in kinds.values()
            else HistGradientBoostingClassifier(random_state=0)
        )
        model.fit(inputs[:fitted], target[:fitted])
        scores = np.zeros((len(target), target.max() + 1))  # a class that the model has not seen has no probability
        scores[:, model.classes_] = model.predict_proba(inputs)
        return cls(frame[features], Schema(features=kinds), scores, target, fitted, live)

    @property
    def batches(self) -> list[slice]:
        rows = (len(self.target) - self.live) // _BATCHES
        return [slice(self.live + i * rows, self.live + (i + 1) * rows) for i in range(_BATCHES)]


def ours(scored: Scored, metrics: tuple[str, ...]) -> dict:
    held_out = slice(scored.fitted, scored.live)
    kept = HeldOut.fit(scored.table[: scored.live], scored.schema, scored.scores[held_out], scored.target[held_out])
    estimator = ClassEstimator.of(kept, LabelShift.fit(kept.scores, kept.target), "bias_corrected")
    found: dict = {"values": {name: [] for name in metrics}, "inside": {name: [] for name in metrics}, "assumed": []}
    begun = process_time()
    for i, at in enumerate(scored.batches):
        scores = scored.scores[at]
        shares = estimator.label_shift.estimate(scores)
        assumed = estimator.assume(scored.table[at], scores, scores, shares, np.random.default_rng(i))
        found["assumed"].append(assumed.assumption.value)
        for name in metrics:
            one, truth = assumed.estimate(name), metric(name, scores, scored.target[at])
            found["values"][name].append(one.value)
            found["inside"][name].append(one.low <= truth <= one.high)
    return found | {"estimate": process_time() - begun}


def theirs(scored: Scored, metrics: tuple[str, ...]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        held_out = slice(scored.fitted, scored.live)
        live = slice(scored.batches[0].start, scored.batches[-1].stop)
        for name, at in (("reference", held_out), ("analysis", live)):
            np.savez(Path(folder) / f"{name}.npz", scores=scored.scores[at], target=scored.target[at])
        rows = scored.batches[0].stop - scored.batches[0].start
        return run_nannyml(folder, rows, metrics)


def run_nannyml(folder: str, rows: int, metrics: tuple[str, ...]) -> dict:
    command = [str(python_of(CONTENDERS["nannyml"])), "-m", "benchmarks.peers.nannyml.estimate"]
    done = subprocess.run(
        [*command, folder, str(rows), ",".join(metrics)], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict = json.loads(done.stdout)
    return found


def _kind(column: pd.Series, categorical: bool) -> Kind:
    if isinstance(column.iloc[0], bytes):
        return Kind.IMAGE
    return Kind.CATEGORICAL if categorical or not pd.api.types.is_numeric_dtype(column) else Kind.NUMERIC


def _numbers(frame: pd.DataFrame, kinds: dict[str, Kind]) -> np.ndarray:
    """What the model is given: cells of images, codes of levels."""
    parts = []
    for name, kind in kinds.items():
        if kind is Kind.IMAGE:
            parts.append(np.stack([np.frombuffer(cell, dtype=np.uint8) for cell in frame[name]]))
        elif kind is Kind.CATEGORICAL:
            parts.append(pd.factorize(frame[name])[0][:, None])
        else:
            parts.append(frame[name].to_numpy(dtype=np.float64)[:, None])
    return np.concatenate(parts, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--streams", default=",".join(STREAMS))
    options = parser.parse_args()
    table: dict = {}
    for name in options.streams.split(","):
        stream = STREAMS[name]
        scored = Scored.of(stream, options.folder)
        mine, peer = ours(scored, stream.metrics), theirs(scored, stream.metrics)
        held_out = slice(scored.fitted, scored.live)
        for measured in stream.metrics:
            truth = np.array([metric(measured, scored.scores[at], scored.target[at]) for at in scored.batches])
            old = metric(measured, scored.scores[held_out], scored.target[held_out])
            table[f"{name}, {measured}"] = {
                "ours": _error(mine["values"][measured], truth),
                "nannyml": _error(peer["values"][measured], truth),
                "held-out value kept": _error([old] * len(truth), truth),
                "realised, first and last ten": [round(float(np.nanmean(t)), 3) for t in (truth[:10], truth[-10:])],
                "in our interval": round(float(np.mean(mine["inside"][measured])), 2),
            }
        kinds, counts = np.unique(mine["assumed"], return_counts=True)
        table[name] = {
            "assumed": dict(zip(kinds.tolist(), counts.tolist(), strict=True)),
            "CPU seconds": [round(mine["estimate"], 2), round(peer["estimate"], 2)],
        }
        print(json.dumps({k: v for k, v in table.items() if k.startswith(name)}), file=sys.stderr)
    print(json.dumps(table, indent=1))


def _error(values: list[float], truth: np.ndarray) -> float:
    """Mean absolute error in points; batches with rows of one class alone have no ranking to compare."""
    return round(100 * float(np.nanmean(np.abs(np.array(values, dtype=np.float64) - truth))), 2)


if __name__ == "__main__":
    main()

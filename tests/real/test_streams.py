"""The whole loop on recorded streams, as `monitor once` runs it over a backlog: what retraining is worth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from monitor.demo.cut import cut_stream

BATCHES = 100
MODELS = Path(__file__).parents[2] / "models"

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]

STREAMS: dict[str, dict[str, Any]] = {
    "elec2": {
        "label": {"name": "class", "kind": "binary", "positive": "UP"},
        "timestamp": "timestamp",
        "drop": ["date"],
        "metric": "roc_auc",
        "categorical": ["day"],
    },
    "bike_sharing": {
        "label": {"name": "cnt", "kind": "regression"},
        "timestamp": "timestamp",
        "drop": ["instant", "yr", "casual", "registered"],
        "metric": "mae",
        "categorical": [],
    },
    "insects_gradual_balanced": {
        "label": {"name": "class", "kind": "multiclass"},
        "timestamp": None,
        "drop": ["seq"],
        "metric": "accuracy",
        "categorical": [],
        "params": {"max_iter": 15, "learning_rate": 0.3},  # six classes are six times the trees
    },
}


def lay_out(folder: Path, name: str, stream: Path, *, mode: str) -> Path:
    """A user's project for this stream; returns its configuration folder."""
    about = STREAMS[name]
    label = about["label"]["name"]
    cut = cut_stream(stream, folder / "data", label=label, timestamp=about["timestamp"], drop=about["drop"])
    taken = {"row_id", "timestamp", label}
    columns = [c for c in pq.read_schema(cut.training).names if c not in taken]
    deployment = {
        "name": name,
        "model": {"code": str(MODELS / "gradient_boosting.py"), "params": about.get("params", {}), "timeout": "2m"},
        "training": {"path": str(cut.training)},
        "schema": {
            "id": "row_id",
            "timestamp": "timestamp",
            "label": about["label"],
            "features": {c: "categorical" if c in about["categorical"] else "numeric" for c in columns},
        },
        "batches": {"path": cut.incoming, "settle": "0s"},
        "labels": {"path": cut.labels, "available_at": "available_at", "settle": "0s"},
        "schedule": {"every": "5m"},
        "performance": {"metric": about["metric"]},
        # half the attempts of the default, and half of its candidates: they are most of the time
        "retrain": {"mode": mode, "when": {"new_labels": 0.4}, "candidates": ["all", "recent_1x"]},
    }
    config = folder / "config"
    (config / "deployments").mkdir(parents=True)
    (config / "deployments" / f"{name}.yaml").write_text(yaml.safe_dump(deployment))
    (config / "monitor.yaml").write_text(yaml.safe_dump({"data": str(folder / "var"), "log": {"format": "json"}}))
    return config


def monitor(config: Path, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "monitor", "-c", str(config), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", STREAMS)
def test_the_loop_beats_the_frozen_model(name, real_stream, tmp_path):
    stream = real_stream(name)
    means = {}
    for mode in ("auto", "off"):
        config = lay_out(tmp_path / mode, name, stream, mode=mode)
        monitor(config, "once")
        records = monitor(config, "history", name, "--last", str(2 * BATCHES))
        assert [r["batch"] for r in records] == [f"batch-{k:04d}" for k in range(1, BATCHES + 1)]
        windows = [r["window_end"] for r in records]
        assert windows == sorted(windows)
        realised = [r["performance"]["realised"] for r in records if r["performance"]["realised"] is not None]
        assert len(realised) == BATCHES  # the last labels, too, have come by now
        means[mode] = float(np.mean(realised))
        versions = {r["model_version"] for r in records}
        assert (len(versions) > 1) == (mode == "auto")
    better = means["auto"] < means["off"] if STREAMS[name]["metric"] == "mae" else means["auto"] > means["off"]
    assert better, means

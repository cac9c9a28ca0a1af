"""Tiny model files for tests: they import nothing heavy, and misbehave on request."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from monitor.app.ports import ModelBundle
from monitor.domain.version import Lineage, Manifest

# Class shares of the training target for every row, or the mean; `PREDICT` and `FIT` are run first.
TINY = """
import json
import os, signal, subprocess, sys, time
from pathlib import Path
import numpy as np

class Tiny:
    def __init__(self, answer):
        self.answer = answer

    @classmethod
    def fit(cls, data, *, init, config, rng, progress):
        progress(0.5, "counting")
        rows = len(data.features)
        FIT
        if data.classes:
            counts = np.bincount(data.target, data.weights, minlength=len(data.classes))
            return cls((counts / counts.sum()).tolist())
        return cls(float(np.average(data.target, weights=data.weights)))

    def predict(self, frame):
        rows = len(frame)
        scores = np.tile(np.asarray(self.answer, dtype=float), (rows, 1)) if isinstance(self.answer, list) else np.full(
            rows, self.answer)
        PREDICT
        return scores

    def save(self, folder):
        (folder / "answer.json").write_text(json.dumps(self.answer))

    @classmethod
    def load(cls, folder):
        LOAD
        return cls(json.loads((folder / "answer.json").read_text()))

Model = Tiny
"""


def tiny(*, predict: str = "pass", fit: str = "pass", load: str = "pass") -> str:
    """Source of a model module; each argument is a statement, or several separated by newlines."""
    source = TINY
    for name, code in (("PREDICT", predict), ("FIT", fit), ("LOAD", load)):
        source = source.replace(f"        {name}\n", "".join(f"        {line}\n" for line in code.splitlines()))
    return source


def write_bundle(folder: Path, source: str, *, classes: tuple[str, ...] = ("a", "b"), answer: str = "[0.25, 0.75]"):
    """A version's folder with hashes, as a trained model would have been saved."""
    (folder / "weights").mkdir(parents=True)
    (folder / "code.py").write_text(source)
    (folder / "weights" / "answer.json").write_text(answer)
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return ModelBundle(folder=folder, manifest=manifest(classes=classes, files=files))


def manifest(**changes) -> Manifest:
    return Manifest(
        **{
            "deployment": "shop",
            "version": 1,
            "created": datetime(2024, 5, 1, tzinfo=UTC),
            "origin": "initial",
            "schema_fingerprint": "0" * 16,
            "code": "models/tiny.py",
            "code_hash": "0" * 64,
            "params": {},
            "seed": 0,
            "classes": ("a", "b"),
            "window_rows": 10,
            "lineage": Lineage(rows=10),
            "held_out_rows": 2,
            "metrics": {},
            **changes,
        }
    )

"""A model that quotes rows when it fails: on large values of `b`, and when it is fitted on more than its first rows."""

from __future__ import annotations

import sys

import numpy as np

FIRST_ROWS = 800
TOO_LARGE = 1e5


def _quote(frame):
    sys.stderr.write(frame.head().to_string())
    raise ValueError(f"what am I to do with {frame.iloc[0].to_dict()}")


class Model:
    @classmethod
    def fit(cls, data, *, init, config, rng, progress):
        if len(data.target) > FIRST_ROWS:
            _quote(data.features)
        return cls()

    def predict(self, frame):
        if (frame["b"] > TOO_LARGE).any():
            _quote(frame)
        p = 1 / (1 + np.exp(-2.5 * frame["a"].to_numpy()))
        return np.column_stack([1 - p, p])

    def save(self, folder):
        (folder / "nothing.txt").write_text("nothing is learnt")

    @classmethod
    def load(cls, folder):
        return cls()

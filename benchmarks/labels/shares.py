"""Class shares without labels, on real scores: error, coverage of the intervals, accuracy after correction.

python -m benchmarks.labels.shares ../shared/data --trials 100

A network of `models/image_network.py` learns 6,000 of the 18,000 digits (MNIST and USPS mixed at random). In each
trial 2,000 of the others are held out, and the batch is drawn from the rest: class shares from a Dirichlet
distribution, each image moved by up to a pixel, and none twice as long as its class has any left. Weights are q/p, with
q the shares of the batch as drawn.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import ndimage

from models.image_network import ImageNetwork
from monitor.domain.model import TrainingData
from monitor.domain.schema import Schema
from monitor.stats.label_shift_em import LabelShift, maximise

_CLASSES = 10
_HELD_OUT = 2000
_VARIANTS = 2
_ROTATION = 25.0
_COMMON = 0.01
_WAYS = ("em", "plain", "bbse", "bbse_soft", "rlls")


@dataclass(frozen=True, eq=False)
class Trial:
    """Scores (rows, classes) and labels; `turned`: the scores of the same images turned."""

    held_out: np.ndarray
    held_out_labels: np.ndarray
    batch: np.ndarray
    labels: np.ndarray
    turned: np.ndarray


class Scores:
    """Scores of the images that the network has not seen, upright and turned, each in several positions."""

    def __init__(self, file: Path, epochs: int) -> None:
        table = pl.read_parquet(file)
        images = np.stack([np.frombuffer(i, dtype=np.uint8) for i in table["image"]])
        side = round(np.sqrt(images.shape[1]))
        images = images.reshape(-1, side, side).astype(np.float32) / 255
        labels = table["label"].to_numpy()
        rng = np.random.default_rng(0)
        order = rng.permutation(len(labels))
        train, others = np.split(order, [6000])
        self._side = side
        data = TrainingData(
            features=self._frame(images[train]),
            target=labels[train],
            classes=tuple(str(k) for k in range(_CLASSES)),
            schema=Schema(features={"image": "image"}),
        )
        self._model = ImageNetwork.fit(
            data, init=None, config={"epochs": epochs}, rng=rng, progress=lambda done, word: None
        )
        self.labels = labels[others]
        self.upright = np.stack([self._score(_jitter(images[others], rng)) for _ in range(_VARIANTS)])
        turned = ndimage.rotate(images[others], _ROTATION, axes=(1, 2), reshape=False, order=1)
        self.turned = np.stack([self._score(_jitter(turned, rng)) for _ in range(_VARIANTS)])

    def _frame(self, images: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame({"image": list(images.reshape(len(images), -1))})

    def _score(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.predict(self._frame(images)), dtype=np.float64)

    def trial(self, shares: np.ndarray, rows: int, rng: np.random.Generator) -> Trial:
        order = rng.permutation(len(self.labels))
        held_out, pool = order[:_HELD_OUT], order[_HELD_OUT:]
        wanted = rng.choice(_CLASSES, size=rows, p=shares)
        chosen = np.empty(rows, dtype=np.int64)
        for k in range(_CLASSES):
            here, there = wanted == k, pool[self.labels[pool] == k]
            chosen[here] = np.resize(rng.permutation(there), int(here.sum()))
        variant = rng.integers(_VARIANTS, size=rows)
        return Trial(
            held_out=self.upright[0, held_out],
            held_out_labels=self.labels[held_out],
            batch=self.upright[variant, chosen],
            labels=wanted,
            turned=self.turned[variant, chosen],
        )


def _jitter(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    moves = rng.uniform(-1, 1, (len(images), 2))
    return np.stack([ndimage.shift(i, m, order=1) for i, m in zip(images, moves, strict=True)])


def trials(scores: Scores, alpha: float, rows: int, count: int) -> dict:
    found: dict[str, list] = {k: [] for k in (*_WAYS, "inside", "better", "before", "after", "fit", "s")}
    found |= {"turned": [], "common": []}
    for trial in range(count):
        rng = np.random.default_rng([trial, rows, int(alpha * 10)])
        true = rng.dirichlet(np.full(_CLASSES, alpha))
        one = scores.trial(true, rows, rng)
        batch, labels, held_out = one.batch, one.labels, one.held_out
        shift = LabelShift.fit(held_out, one.held_out_labels)
        prior = shift.prior
        drawn = np.bincount(labels, minlength=_CLASSES) / rows
        begun = process_time()
        seen = shift.estimate(batch)
        found["s"].append(process_time() - begun)
        estimates = {
            "em": seen.share,
            "plain": maximise(batch / held_out.mean(axis=0), prior),
            **{method: shift.estimate(batch, method).share for method in ("bbse", "bbse_soft", "rlls")},
        }
        for name, share in estimates.items():
            found[name].append(np.square((share - drawn) / prior).mean())
        inside = (seen.low <= true) & (true <= seen.high)
        found["inside"].append(inside)
        found["common"].append(inside[true > _COMMON].mean())
        before = (batch.argmax(axis=1) == labels).mean()
        after = (shift.correct(batch, seen.share).argmax(axis=1) == labels).mean()
        found["before"].append(before)
        found["after"].append(after)
        found["fit"].append(seen.fit_p)
        found["turned"].append(shift.estimate(one.turned).fit_p)
    median = {name: round(1e3 * float(np.median(found[name])), 3) for name in _WAYS}
    return {
        "weight MSE ×10⁻³ (median)": median,
        "covered": round(float(np.mean(found["inside"])), 4),
        "covered, shares above 1%": round(float(np.mean(found["common"])), 4),
        "accuracy": [round(float(np.mean(found[k])), 4) for k in ("before", "after")],
        "not worse": round(float(np.mean(np.array(found["after"]) >= np.array(found["before"]))), 3),
        "rejected at 5%": round(float(np.mean(np.array(found["fit"]) < 0.05)), 3),
        "rejected at 5%, turned by 25°": round(float(np.mean(np.array(found["turned"]) < 0.05)), 3),
        "ms": round(1e3 * float(np.median(found["s"])), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    scores = Scores(options.folder / "digits_mnist_to_usps.parquet", options.epochs)
    accuracy = (scores.upright[0].argmax(axis=1) == scores.labels).mean()
    print(f"accuracy on images it has not seen: {accuracy:.3f}", file=sys.stderr)
    table = {}
    for alpha in (0.1, 1.0, 10.0):
        for rows in (500, 2000):
            table[f"Dirichlet {alpha:g}, {rows} rows"] = trials(scores, alpha, rows, options.trials)
            told = json.dumps(table[f"Dirichlet {alpha:g}, {rows} rows"], ensure_ascii=False)
            print(f"Dirichlet {alpha:g}, {rows} rows: {told}", file=sys.stderr)
    print(json.dumps(table, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()

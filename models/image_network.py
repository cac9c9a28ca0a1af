"""A small convolutional network that classifies square grey images, given as one flat array of 0..1 per row.

Saved as `weights.safetensors` and `model.json`. Runs on the CPU, with as many threads as `OMP_NUM_THREADS` says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from monitor.domain.model import Progress, Scores, TrainingData

_PREDICT_ROWS = 1024
_TINY_SIDE = 8  # pixels; such images are not made smaller between the layers
_POOLED_SIDE = 4


@dataclass(frozen=True)
class Params:
    """What `model.params` may hold."""

    channels: int = 16  # of the first layer; the second has twice as many
    epochs: int = 30
    learning_rate: float = 3e-3  # the highest; it rises and falls once (Smith & Topin 2019)
    batch_size: int = 64
    dropout: float = 0.3
    shift: int = 1  # pixels by which training images are moved at random, each way
    warm_start: bool = False  # start from the champion's weights when its layers have the same sizes


class ImageNetwork(nn.Module):
    def __init__(self, column: str, side: int, classes: int, params: Params) -> None:
        super().__init__()
        self.column, self.side, self.classes, self.params = column, side, classes, params
        c = params.channels
        self.layers = nn.Sequential(
            nn.Conv2d(1, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(),
            nn.MaxPool2d(2) if side > _TINY_SIDE else nn.Identity(),
            nn.Conv2d(c, 2 * c, 3, padding=1), nn.BatchNorm2d(2 * c), nn.ReLU(),
            nn.AdaptiveMaxPool2d(_POOLED_SIDE), nn.Flatten(), nn.Dropout(params.dropout),
            nn.Linear(2 * c * _POOLED_SIDE**2, 64), nn.ReLU(), nn.Linear(64, classes),
        )  # fmt: skip

    @classmethod
    def fit(cls, data: TrainingData, *, init: Self | None, config: Mapping[str, Any], rng: np.random.Generator,
            progress: Progress) -> Self:  # fmt: skip
        params, (column, side) = Params(**config), _image_column(data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            model = cls(column, side, len(data.classes), params)
            if params.warm_start and init is not None and _sizes(init) == _sizes(model):
                model.load_state_dict(init.state_dict())
            model._descend(data, rng, progress)
        return model.eval()

    def _descend(self, data: TrainingData, rng: np.random.Generator, progress: Progress) -> None:
        images, target, params = self._images(data.features), torch.tensor(data.target), self.params
        weights = torch.ones(len(target)) if data.weights is None else torch.tensor(data.weights).float()
        weights = weights / weights.mean()
        batches = max(1, len(target) // params.batch_size)  # none of them of one row, which has no variance
        steps = params.epochs * batches
        optimiser = torch.optim.AdamW(self.parameters(), lr=params.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, params.learning_rate, total_steps=steps)
        for epoch in range(params.epochs):
            for rows in torch.tensor(rng.permutation(len(target))).tensor_split(batches):
                optimiser.zero_grad()
                raw = self.layers(_shifted(images[rows], params.shift, rng))
                losses = functional.cross_entropy(raw, target[rows], reduction="none")
                (losses * weights[rows]).mean().backward()
                optimiser.step()
                schedule.step()
            progress((epoch + 1) / params.epochs, f"epoch {epoch + 1} of {params.epochs}")

    def _images(self, frame: pd.DataFrame) -> Tensor:
        flat = np.stack(frame[self.column].to_numpy()).astype(np.float32)
        return torch.tensor(np.nan_to_num(flat) - 0.5).reshape(-1, 1, self.side, self.side)

    def predict(self, frame: pd.DataFrame) -> Scores:
        with torch.inference_mode():
            raw = torch.cat([self.layers(part) for part in self._images(frame).split(_PREDICT_ROWS)])
        return raw.double().softmax(dim=1).numpy()

    def save(self, folder: Path) -> None:
        save_file(self.state_dict(), folder / "weights.safetensors")
        plain = {"column": self.column, "side": self.side, "classes": self.classes, "params": asdict(self.params)}
        (folder / "model.json").write_text(json.dumps(plain), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        plain = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        model = cls(**{**plain, "params": Params(**plain["params"])})
        model.load_state_dict(load_file(folder / "weights.safetensors"))
        return model.eval()


def _image_column(data: TrainingData) -> tuple[str, int]:
    """Name and side length in pixels."""
    features = data.schema.features
    column = next(iter(features))
    if len(features) > 1 or not features[column].is_array:
        raise ValueError(f"image_network takes one image feature, the schema has {', '.join(features)}")
    if not data.classes:
        raise ValueError("image_network tells classes apart, the label is a value")
    length = len(data.features[column].iloc[0])
    if (side := math.isqrt(length)) ** 2 != length:
        raise ValueError(f"feature {column!r}: {length} values per row are not a square image")
    return column, side


def _sizes(model: nn.Module) -> list[torch.Size]:
    return [value.shape for value in model.state_dict().values()]


def _shifted(images: Tensor, by: int, rng: np.random.Generator) -> Tensor:
    """The same images, moved together by a random number of pixels; the edge is repeated."""
    down, right = rng.integers(0, 2 * by + 1, 2)
    side = images.shape[-1]
    return functional.pad(images, (by, by, by, by), mode="replicate")[..., down : down + side, right : right + side]


Model = ImageNetwork

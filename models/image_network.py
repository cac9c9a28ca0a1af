"""A small convolutional network for square grey images, given as one flat array per row; classes or a value.

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


@dataclass(frozen=True)
class Params:
    """What `model.params` may hold."""

    channels: int = 16  # of the first layer; the second has twice as many
    epochs: int = 30
    learning_rate: float = 3e-3  # the highest; it rises and falls once (Smith & Topin 2019)
    batch_size: int = 64
    dropout: float = 0.3
    shift: int = 1  # pixels by which training images are moved at random, each way
    warm_start: bool = False  # start from the champion's weights when its shape is the same


@dataclass(frozen=True)
class Shape:
    column: str
    side: int  # pixels
    outputs: int  # classes, or 0 for a value
    target_mean: float = 0.0
    target_scale: float = 1.0


class ImageNetwork:
    def __init__(self, shape: Shape, params: Params) -> None:
        self.shape, self.params = shape, params
        c, pooled = params.channels, min(shape.side, 4)
        self.network = nn.Sequential(
            nn.Conv2d(1, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU(),
            nn.MaxPool2d(2) if shape.side > _TINY_SIDE else nn.Identity(),
            nn.Conv2d(c, 2 * c, 3, padding=1), nn.BatchNorm2d(2 * c), nn.ReLU(),
            nn.AdaptiveMaxPool2d(pooled), nn.Flatten(), nn.Dropout(params.dropout),
            nn.Linear(2 * c * pooled**2, 64), nn.ReLU(), nn.Linear(64, max(shape.outputs, 1)),
        )  # fmt: skip

    @classmethod
    def fit(
        cls,
        data: TrainingData,
        *,
        init: Self | None,
        config: Mapping[str, Any],
        rng: np.random.Generator,
        progress: Progress,
    ) -> Self:
        params = Params(**config)
        shape = _shape(data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            model = cls(shape, params)
            warm = init is not None and params.warm_start and _same_network(model, init)
            if warm:
                model.network.load_state_dict(init.network.state_dict())
            model._train(data, rng, progress)
        return model

    def _train(self, data: TrainingData, rng: np.random.Generator, progress: Progress) -> None:
        images, params = self._images(data.features), self.params
        target, weights = self._target(data.target), torch.from_numpy(_weights(data)).float()
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=params.learning_rate)
        batches = max(
            1, len(images) // params.batch_size
        )  # at most twice the batch size: a batch of one has no variance
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, params.learning_rate, total_steps=params.epochs * batches
        )
        self.network.train()
        for epoch in range(params.epochs):
            for part in torch.from_numpy(rng.permutation(len(images))).tensor_split(batches):
                optimiser.zero_grad()
                raw = self.network(_shifted(images[part], params.shift, rng))
                (self._losses(raw, target[part]) * weights[part]).mean().backward()
                optimiser.step()
                schedule.step()
            progress((epoch + 1) / params.epochs, f"epoch {epoch + 1} of {params.epochs}")
        self.network.eval()

    def _losses(self, raw: Tensor, target: Tensor) -> Tensor:
        if self.shape.outputs:
            return functional.cross_entropy(raw, target, reduction="none")
        return functional.smooth_l1_loss(raw[:, 0], target, beta=0.1, reduction="none")

    def _images(self, frame: pd.DataFrame) -> Tensor:
        side = self.shape.side
        flat = np.stack(frame[self.shape.column].to_numpy()).astype(np.float32)
        return torch.from_numpy(np.nan_to_num(flat) - 0.5).reshape(-1, 1, side, side)

    def _target(self, target: np.ndarray) -> Tensor:
        if self.shape.outputs:
            return torch.from_numpy(target.astype(np.int64))
        return torch.from_numpy((target - self.shape.target_mean) / self.shape.target_scale).float()

    def predict(self, frame: pd.DataFrame) -> Scores:
        self.network.eval()
        with torch.inference_mode():
            raw = torch.cat([self.network(part) for part in self._images(frame).split(_PREDICT_ROWS)]).double()
        if self.shape.outputs:
            return raw.softmax(dim=1).numpy()
        return raw[:, 0].numpy() * self.shape.target_scale + self.shape.target_mean

    def save(self, folder: Path) -> None:
        save_file(self.network.state_dict(), folder / "weights.safetensors")
        text = json.dumps({"shape": asdict(self.shape), "params": asdict(self.params)})
        (folder / "model.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        plain = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        model = cls(Shape(**plain["shape"]), Params(**plain["params"]))
        model.network.load_state_dict(load_file(folder / "weights.safetensors"))
        model.network.eval()
        return model


def _shape(data: TrainingData) -> Shape:
    columns = [name for name, kind in data.schema.features.items() if kind.is_array]
    if len(columns) != 1 or len(data.schema.features) != 1:
        raise ValueError(f"image_network takes one image feature, the schema has {', '.join(data.schema.features)}")
    length = len(data.features[columns[0]].iloc[0])
    side = math.isqrt(length)
    if side * side != length:
        raise ValueError(f"feature {columns[0]!r}: {length} values are not a square image")
    if data.classes:
        return Shape(columns[0], side, len(data.classes))
    return Shape(columns[0], side, 0, float(data.target.mean()), float(data.target.std()) or 1.0)


def _same_network(one: ImageNetwork, other: ImageNetwork) -> bool:
    mine, theirs = one.network.state_dict(), other.network.state_dict()
    return {name: value.shape for name, value in mine.items()} == {name: value.shape for name, value in theirs.items()}


def _shifted(images: Tensor, by: int, rng: np.random.Generator) -> Tensor:
    """The same images, moved together by a random number of pixels; the edge is repeated."""
    if by == 0:
        return images
    down, right = rng.integers(0, 2 * by + 1, 2)
    side = images.shape[-1]
    padded = functional.pad(images, (by, by, by, by), mode="replicate")
    return padded[..., down : down + side, right : right + side]


def _weights(data: TrainingData) -> np.ndarray:
    weights = np.ones(len(data.target)) if data.weights is None else data.weights
    if not weights.sum() > 0:
        raise ValueError("all rows have weight zero")
    return weights / weights.mean()


Model = ImageNetwork

"""A feed-forward network for tables: numeric, categorical, boolean and vector features; classes or a value.

Saved as `weights.safetensors` and `model.json`. Runs on the CPU, with as many threads as `OMP_NUM_THREADS` says.
"""

from __future__ import annotations

import json
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

_CLIP = 8.0  # standard deviations: a network says nothing sensible far away from what it has seen
_TAIL_SHARE, _MIN_TAIL = 0.1, 50  # the newest rows decide when to stop; with fewer, all epochs are run
_PREDICT_ROWS = 8192


@dataclass(frozen=True)
class Params:
    """What `model.params` may hold."""

    hidden: tuple[int, ...] = (64, 32)
    epochs: int = 40
    learning_rate: float = 2e-3
    batch_size: int = 128
    patience: int = 6  # epochs without improvement on the tail before training stops
    warm_start: bool = False  # start from the champion's weights, keeping its scaling and its category levels


@dataclass(frozen=True)
class Encoding:
    """How rows become numbers. Missing numbers become the mean, with an indicator where training had missing ones."""

    numeric: list[str]
    mean: list[float]
    scale: list[float]  # standard deviation; 1 for a constant
    indicated: list[int]  # numeric columns that get an indicator
    levels: dict[str, list[str | None]]  # None stands for missing; code 0 is a level never seen
    outputs: int  # classes, or 0 for a value
    target_mean: float
    target_scale: float

    @classmethod
    def fit(cls, data: TrainingData) -> Encoding:
        coded = {c for c in data.features if isinstance(data.features[c].dtype, pd.CategoricalDtype)}
        numeric = [c for c in data.features if c not in coded]
        x = _numbers(data.features, numeric)
        known = np.isfinite(x)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, x, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, x - mean, 0.0) ** 2).sum(axis=0) / count)
        levels = {c: sorted(set(_levels(data.features[c])), key=lambda v: (v is None, v)) for c in sorted(coded)}
        y = data.target.astype(np.float64)
        return cls(
            numeric=numeric,
            mean=mean.tolist(),
            scale=np.where(spread > 1e-12 * np.maximum(1.0, np.abs(mean)), spread, 1.0).tolist(),
            indicated=np.flatnonzero(~known.all(axis=0)).tolist(),
            levels=levels,
            outputs=len(data.classes),
            target_mean=0.0 if data.classes else float(y.mean()),
            target_scale=1.0 if data.classes else float(y.std()) or 1.0,
        )

    def apply(self, frame: pd.DataFrame) -> tuple[Tensor, Tensor]:
        x = _numbers(frame, self.numeric)
        missing = ~np.isfinite(x)
        scaled = np.where(missing, 0.0, (x - self.mean) / self.scale).clip(-_CLIP, _CLIP)
        block = np.hstack([scaled, missing[:, self.indicated]]).astype(np.float32)
        codes = np.zeros((len(frame), len(self.levels)), dtype=np.int64)
        for i, (name, levels) in enumerate(self.levels.items()):
            position = {level: code for code, level in enumerate(levels, start=1)}
            codes[:, i] = [position.get(value, 0) for value in _levels(frame[name])]
        return torch.from_numpy(block), torch.from_numpy(codes)


class Network(nn.Module):
    def __init__(self, encoding: Encoding, hidden: tuple[int, ...]) -> None:
        super().__init__()
        sizes = [len(levels) + 1 for levels in encoding.levels.values()]
        # Code 0 is a vector of zeros that is never trained: a new level is "nothing known", not noise.
        self.embeddings = nn.ModuleList(nn.Embedding(n, min(16, n // 2 + 1), padding_idx=0) for n in sizes)
        width = len(encoding.mean) + len(encoding.indicated) + sum(min(16, n // 2 + 1) for n in sizes)
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU()]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, max(encoding.outputs, 1)))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        embedded = [embed(codes[:, i]) for i, embed in enumerate(self.embeddings)]
        return self.layers(torch.cat([numbers, *embedded], dim=1))


class TabularNetwork:
    def __init__(self, encoding: Encoding, params: Params) -> None:
        self.encoding, self.params = encoding, params
        self.network = Network(encoding, tuple(params.hidden))

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
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            fresh = Encoding.fit(data)
            warm = init is not None and params.warm_start and init._fits(fresh, params)
            model = cls(init.encoding if warm else fresh, params)
            if warm:
                model.network.load_state_dict(init.network.state_dict())
            model._train(data, rng, progress)
        return model

    def _fits(self, other: Encoding, params: Params) -> bool:
        mine = self.encoding
        same_shape = list(self.params.hidden) == list(params.hidden) and len(mine.mean) == len(other.mean)
        return same_shape and mine.numeric == other.numeric and mine.outputs == other.outputs

    def _train(self, data: TrainingData, rng: np.random.Generator, progress: Progress) -> None:
        numbers, codes = self.encoding.apply(data.features)
        target = self._target(data.target)
        weights = torch.from_numpy(_weights(data)).float()
        tail = int(len(target) * _TAIL_SHARE)
        cut = len(target) - (tail if tail >= _MIN_TAIL else 0)
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.params.learning_rate)
        best, best_state, waited = np.inf, None, 0
        for epoch in range(self.params.epochs):
            self.network.train()
            for part in torch.from_numpy(rng.permutation(cut)).split(self.params.batch_size):
                optimiser.zero_grad()
                self._loss(numbers[part], codes[part], target[part], weights[part]).backward()
                optimiser.step()
            progress((epoch + 1) / self.params.epochs, f"epoch {epoch + 1} of {self.params.epochs}")
            if cut == len(target):
                continue
            with torch.inference_mode():
                loss = float(self._loss(numbers[cut:], codes[cut:], target[cut:], weights[cut:]))
            waited += 1
            if loss < best:
                best, waited = loss, 0
                best_state = {name: value.clone() for name, value in self.network.state_dict().items()}
            if waited > self.params.patience:
                break
        if best_state is not None:
            self.network.load_state_dict(best_state)

    def _target(self, target: np.ndarray) -> Tensor:
        if self.encoding.outputs:
            return torch.from_numpy(target.astype(np.int64))
        return torch.from_numpy((target - self.encoding.target_mean) / self.encoding.target_scale).float()

    def _loss(self, numbers: Tensor, codes: Tensor, target: Tensor, weights: Tensor) -> Tensor:
        raw = self.network(numbers, codes)
        if self.encoding.outputs:
            each = functional.cross_entropy(raw, target, reduction="none")
        else:  # nearly the absolute error, smooth where it is small
            each = functional.smooth_l1_loss(raw[:, 0], target, beta=0.1, reduction="none")
        return (each * weights).mean()

    def predict(self, frame: pd.DataFrame) -> Scores:
        self.network.eval()
        numbers, codes = self.encoding.apply(frame)
        with torch.inference_mode():
            parts = zip(numbers.split(_PREDICT_ROWS), codes.split(_PREDICT_ROWS), strict=True)
            raw = torch.cat([self.network(n, c) for n, c in parts]).double()
        if self.encoding.outputs:
            return raw.softmax(dim=1).numpy()
        return raw[:, 0].numpy() * self.encoding.target_scale + self.encoding.target_mean

    def save(self, folder: Path) -> None:
        save_file(self.network.state_dict(), folder / "weights.safetensors")
        text = json.dumps({"encoding": asdict(self.encoding), "params": asdict(self.params)})
        (folder / "model.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        plain = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        model = cls(Encoding(**plain["encoding"]), Params(**plain["params"]))
        model.network.load_state_dict(load_file(folder / "weights.safetensors"))
        return model


def _numbers(frame: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Numeric columns and the elements of vector columns, side by side."""
    blocks = [np.stack(frame[c].to_numpy()).reshape(len(frame), -1) for c in columns]
    return np.hstack(blocks).astype(np.float64) if blocks else np.zeros((len(frame), 0))


def _levels(column: pd.Series) -> list[str | None]:
    return column.astype(object).where(column.notna(), None).tolist()


def _weights(data: TrainingData) -> np.ndarray:
    weights = np.ones(len(data.target)) if data.weights is None else data.weights
    if not weights.sum() > 0:
        raise ValueError("all rows have weight zero")
    return weights / weights.mean()


Model = TabularNetwork

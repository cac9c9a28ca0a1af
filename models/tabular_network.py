"""A feed-forward network for tables: numeric, categorical, boolean and vector features; classes or a value.

Saved as `weights.safetensors` and `model.json`. Runs on the CPU, with as many threads as `OMP_NUM_THREADS` says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
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
_TAIL_SHARE, _MIN_TAIL = 0.1, 50  # the newest rows decide when to stop; if they are fewer, all epochs are run


@dataclass(frozen=True)
class Params:
    """What `model.params` may hold."""

    hidden: tuple[int, ...] = (64, 32)
    epochs: int = 40
    learning_rate: float = 2e-3
    batch_size: int = 128
    patience: int = 6  # epochs without improvement on the tail before training stops
    warm_start: bool = False  # start from the champion's weights, with its scaling and its category levels


@dataclass(frozen=True)
class Encoding:
    """How rows become numbers. A missing number becomes the mean, with an indicator if training had missing ones."""

    numeric: list[str]
    mean: list[float]
    scale: list[float]  # standard deviation; 1 for a constant
    indicated: list[int]  # positions of the numbers that have an indicator
    levels: dict[str, list[str]]  # code 0 stands for missing, and for a level never seen
    outputs: int  # classes, or 0 for a value
    target: tuple[float, float] = (0.0, 1.0)  # mean and standard deviation of a value

    @classmethod
    def fit(cls, data: TrainingData) -> Encoding:
        coded = [c for c in data.features if isinstance(data.features[c].dtype, pd.CategoricalDtype)]
        numeric = [c for c in data.features if c not in coded]
        x = np.ma.masked_invalid(_numbers(data.features, numeric))
        mean, spread = x.mean(axis=0).filled(0.0), x.std(axis=0).filled(0.0)
        return cls(
            numeric=numeric,
            mean=mean.tolist(),
            scale=np.where(spread > 1e-9 * np.abs(mean), spread, 1.0).tolist(),
            indicated=np.flatnonzero(np.ma.getmaskarray(x).any(axis=0)).tolist(),
            levels={c: sorted(data.features[c].dropna().unique()) for c in coded},
            outputs=len(data.classes),
            target=(0.0, 1.0) if data.classes else (float(data.target.mean()), float(data.target.std()) or 1.0),
        )

    def apply(self, frame: pd.DataFrame) -> tuple[Tensor, Tensor]:
        x = _numbers(frame, self.numeric)
        missing = ~np.isfinite(x)
        scaled = np.where(missing, 0.0, (x - self.mean) / self.scale).clip(-_CLIP, _CLIP)
        codes = [frame[c].cat.set_categories(levels).cat.codes.to_numpy() + 1 for c, levels in self.levels.items()]
        numbers = np.hstack([scaled, missing[:, self.indicated]])
        return torch.tensor(numbers).float(), torch.tensor(np.array(codes, dtype=np.int64).reshape(-1, len(x)))


class TabularNetwork(nn.Module):
    def __init__(self, encoding: Encoding, params: Params) -> None:
        super().__init__()
        self.encoding, self.params = encoding, params
        sizes = [(len(levels) + 1, min(16, len(levels) // 2 + 1)) for levels in encoding.levels.values()]
        self.embeddings = nn.ModuleList(nn.Embedding(count, width) for count, width in sizes)
        for embedding in self.embeddings:  # without missing values in training, code 0 says "nothing known", not noise
            nn.init.zeros_(embedding.weight.data[0])
        widths = [len(encoding.mean) + len(encoding.indicated) + sum(width for _, width in sizes), *params.hidden]
        hidden = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(widths[-1], max(encoding.outputs, 1)))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        embedded = (embedding(codes[i]) for i, embedding in enumerate(self.embeddings))
        return self.layers(torch.cat([numbers, *embedded], dim=1))

    @classmethod
    def fit(cls, data: TrainingData, *, init: Self | None, config: Mapping[str, Any], rng: np.random.Generator,
            progress: Progress) -> Self:  # fmt: skip
        params, encoding = Params(**config), Encoding.fit(data)
        warm = params.warm_start and init is not None and init.encoding.outputs == encoding.outputs
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            model = cls(init.encoding if warm else encoding, params)
            if warm and [*params.hidden] == [*init.params.hidden]:
                model.load_state_dict(init.state_dict())
            model._descend(data, rng, progress)
        return model

    def _descend(self, data: TrainingData, rng: np.random.Generator, progress: Progress) -> None:
        (numbers, codes), target = self.encoding.apply(data.features), torch.tensor(data.target)
        weights = torch.ones(len(target)) if data.weights is None else torch.tensor(data.weights).float()
        weights = weights / weights.mean()

        def loss(rows: Tensor) -> Tensor:
            return (self._losses(self(numbers[rows], codes[:, rows]), target[rows]) * weights[rows]).mean()

        n, epochs = len(target), self.params.epochs
        tail = torch.arange(n - int(n * _TAIL_SHARE), n) if n * _TAIL_SHARE >= _MIN_TAIL else torch.arange(0)
        optimiser = torch.optim.Adam(self.parameters(), lr=self.params.learning_rate)
        best, best_epoch, best_state = np.inf, 0, self.state_dict()
        for epoch in range(epochs):
            for rows in torch.tensor(rng.permutation(n - len(tail))).split(self.params.batch_size):
                optimiser.zero_grad()
                loss(rows).backward()
                optimiser.step()
            progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")
            with torch.no_grad():
                now = float(loss(tail)) if len(tail) else -epoch
            if now < best:
                best, best_epoch, best_state = now, epoch, {k: v.clone() for k, v in self.state_dict().items()}
            if epoch - best_epoch > self.params.patience:
                break
        self.load_state_dict(best_state)

    def _losses(self, raw: Tensor, target: Tensor) -> Tensor:
        if self.encoding.outputs:
            return functional.cross_entropy(raw, target, reduction="none")
        mean, scale = self.encoding.target  # nearly the absolute error, smooth where it is small
        return functional.smooth_l1_loss(raw[:, 0], ((target - mean) / scale).float(), beta=0.1, reduction="none")

    def predict(self, frame: pd.DataFrame) -> Scores:
        with torch.inference_mode():
            raw = self(*self.encoding.apply(frame)).double()
        mean, scale = self.encoding.target
        return raw.softmax(dim=1).numpy() if self.encoding.outputs else raw[:, 0].numpy() * scale + mean

    def save(self, folder: Path) -> None:
        save_file(self.state_dict(), folder / "weights.safetensors")
        plain = {"encoding": asdict(self.encoding), "params": asdict(self.params)}
        (folder / "model.json").write_text(json.dumps(plain), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        plain = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        model = cls(Encoding(**plain["encoding"]), Params(**plain["params"]))
        model.load_state_dict(load_file(folder / "weights.safetensors"))
        return model


def _numbers(frame: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Numbers and the elements of vectors, side by side. Vectors are objects, one array per row."""
    values = [frame[c].to_numpy() for c in columns]
    blocks = [np.stack(v) if v.dtype == object else v[:, None] for v in values]
    return np.hstack([np.zeros((len(frame), 0)), *blocks])


Model = TabularNetwork

"""What code under `models/` implements, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from monitor.domain.schema import Schema

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Scores = npt.NDArray[np.float64]  # (n, k) class probabilities in the order of `classes`, or (n,) values
Progress = Callable[[float, str], None]  # share done in [0, 1], and a short word on what is going on


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Labelled rows, oldest first.

    `features`: the schema's feature columns: numeric float64 with NaN for missing, categorical and boolean as
    pandas `category` of str (boolean "true"/"false"), missing as NaN, image and vector as one float32 array of
    fixed length per cell (images scaled to 0..1).
    `target`: (n,) class codes into `classes` (int64), or values (float64) for regression, `classes` then empty.
    `weights`: (n,) non-negative, or None for equal weights.
    """

    features: pd.DataFrame
    target: npt.NDArray[Any]
    classes: tuple[str, ...]
    schema: Schema
    weights: npt.NDArray[np.float64] | None = None


class Model(Protocol):
    """One deployed model. Saved without pickle; `load(folder)` after `save(folder)` predicts the same numbers."""

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
        """Train on `data`; `init` is the champion to start from, when asked for."""
        ...

    def predict(self, frame: pd.DataFrame) -> Scores:
        """Probabilities (n, k) or values (n,) for the feature columns, prepared as in `TrainingData.features`."""
        ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self: ...

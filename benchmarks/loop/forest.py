"""A random forest on one image column: the digits' model of the loop benchmark. Saved as `forest.skops`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import skops.io
from sklearn.ensemble import RandomForestClassifier

from monitor.domain.model import Progress, Scores, TrainingData

_SMALLEST = 1e-3  # a share of trees of zero is no certainty, and an infinite loss no measurement


class Forest:
    trust: ClassVar[tuple[str, ...]] = ()

    def __init__(self, forest: RandomForestClassifier, classes: int) -> None:
        self.forest, self.classes = forest, classes

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
        forest = RandomForestClassifier(**{"random_state": int(rng.integers(2**31)), **config})
        progress(0.0, "growing trees")
        return cls(forest.fit(_pixels(data.features), data.target, sample_weight=data.weights), len(data.classes))

    def predict(self, frame: pd.DataFrame) -> Scores:
        scores = np.full((len(frame), self.classes), _SMALLEST)
        scores[:, self.forest.classes_] += self.forest.predict_proba(_pixels(frame))
        return scores / scores.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        skops.io.dump((self.forest, self.classes), folder / "forest.skops")

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(*skops.io.load(folder / "forest.skops", trusted=list(cls.trust)))


def _pixels(frame: pd.DataFrame) -> np.ndarray:
    return np.stack(frame["image"].to_numpy())


Model = Forest

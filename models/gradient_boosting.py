"""Gradient-boosted trees (scikit-learn's histogram kind) for tables; classes or a value.

Saved as `trees.skops`, never as a pickle, and `model.json`. `model.params` are the arguments of
`HistGradientBoostingClassifier` or `HistGradientBoostingRegressor`. Unless they say otherwise, a tree has 15 leaves,
half of scikit-learn's default, and leaves are shrunk a little: drift makes wrong first what was learnt in detail.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from monitor.domain.model import Progress, Scores, TrainingData
from monitor.errors import ArtefactError

_MAX_LEVELS = 254  # scikit-learn's bins; rarer levels are treated like missing ones
_OWN_TYPES = (  # what these estimators consist of, beyond skops' own list
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)
_DEFAULTS = {"max_leaf_nodes": 15, "l2_regularization": 1.0}
_TORCH_BRIDGE = "sklearn.externals.array_api_compat.torch"


def _import_skops() -> ModuleType:
    """Import `skops.io` without torch, which costs every process that trains or scores a second and 180 MiB.

    To list scikit-learn's estimators, skops imports every package in it that can be imported, the bridge to torch too.
    It cannot be during this one import; whoever wants it later gets it.
    """
    hide = _TORCH_BRIDGE not in sys.modules
    if hide:
        sys.modules[_TORCH_BRIDGE] = None
    try:
        return importlib.import_module("skops.io")
    finally:
        if hide:
            del sys.modules[_TORCH_BRIDGE]


skops_io = _import_skops()


class GradientBoosting:
    trust: ClassVar[tuple[str, ...]] = ()  # the operator's list of further types, set before `load`

    def __init__(self, *, columns: list[str], levels: dict[str, list[str]], classes: int) -> None:
        self.columns, self.levels, self.classes = columns, levels, classes
        self.present: list[int] = []  # class codes that occurred in training, in the order of the trees' output
        self.used: list[int] = []  # columns of the matrix with any value in training; scikit-learn takes no others
        self.trees: Any = None  # None when only one class occurred: there is nothing to tell apart

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
        coded = [c for c in data.features if isinstance(data.features[c].dtype, pd.CategoricalDtype)]
        levels = {c: _levels(data.features[c]) for c in coded}
        model = cls(columns=list(data.features.columns), levels=levels, classes=len(data.classes))
        model.present = np.unique(data.target).tolist() if data.classes else []
        if len(model.present) == 1:
            progress(1.0, "only one class")
            return model
        rows = model._rows(data.features)
        model.used = np.flatnonzero(~np.isnan(rows).all(axis=0)).tolist()
        kind = HistGradientBoostingClassifier if data.classes else HistGradientBoostingRegressor
        categorical = (np.arange(rows.shape[1]) < len(levels))[model.used]
        seed = int(rng.integers(2**31))
        progress(0.0, "growing trees")
        trees = kind(**{"random_state": seed, **_DEFAULTS, **config}, categorical_features=categorical)
        model.trees = trees.fit(rows[:, model.used], data.target, sample_weight=data.weights)
        progress(1.0, f"{trees.n_iter_} iterations")
        return model

    def predict(self, frame: pd.DataFrame) -> Scores:
        rows = self._rows(frame)[:, self.used]
        if not self.classes:
            return self.trees.predict(rows)
        scores = np.zeros((len(frame), self.classes))
        scores[:, self.present] = 1.0 if self.trees is None else self.trees.predict_proba(rows)
        return scores

    def save(self, folder: Path) -> None:
        plain = {name: value for name, value in vars(self).items() if name != "trees"}
        (folder / "model.json").write_text(json.dumps(plain), encoding="utf-8")
        if self.trees is not None:
            skops_io.dump(self.trees, folder / "trees.skops")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises ArtefactError when the file holds a type that nobody has trusted."""
        plain = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        model = cls(**{name: plain[name] for name in ("columns", "levels", "classes")})
        model.present, model.used = plain["present"], plain["used"]
        file = folder / "trees.skops"
        if file.exists():
            trusted = {*_OWN_TYPES, *cls.trust}
            if strange := set(skops_io.get_untrusted_types(file=file)) - trusted:
                raise ArtefactError(
                    f"{file}: holds types that nobody has trusted: {', '.join(sorted(strange))}; "
                    "if they are yours, add them to `trust` in monitor.yaml"
                )
            model.trees = skops_io.load(file, trusted=sorted(trusted))
        return model

    def _rows(self, frame: pd.DataFrame) -> np.ndarray:
        """Codes of the categorical columns first, then the numbers; missing and unknown are NaN."""
        blocks = []
        for name, levels in self.levels.items():
            codes = frame[name].cat.set_categories(levels).cat.codes.to_numpy()
            blocks.append(np.where(codes < 0, np.nan, codes)[:, None])
        numbers = [_numbers(frame[name]) for name in self.columns if name not in self.levels]
        return np.hstack([*blocks, *(block.reshape(len(frame), -1) for block in numbers)], dtype=np.float64)


def _numbers(column: pd.Series) -> np.ndarray:
    """Values as they are; images and vectors are objects, one array per row."""
    values = column.to_numpy()
    return np.stack(values) if values.dtype == object else values


def _levels(column: pd.Series) -> list[str]:
    return sorted(level for level, _ in Counter(column.dropna()).most_common(_MAX_LEVELS))


Model = GradientBoosting

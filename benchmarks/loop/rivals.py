"""Other rules on the same batches with the same model: when to retrain, on all labelled rows, promoted without a gate.

Labels of a batch are known `delay` batches later, as the product gets them. A rule is asked after each batch, and what
it retrains scores from the next one on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from benchmarks.loop.product import Played
from benchmarks.loop.streams import Cut
from monitor.adapters.features import to_features
from monitor.adapters.file_source import read_table
from monitor.adapters.model_code import load_code
from monitor.config.deployment import Deployment
from monitor.domain.labels import class_codes, classes_of
from monitor.domain.model import TrainingData

_LIMIT, _SHARE = 0.1, 0.5  # Evidently's defaults beyond a thousand rows: distance of a column, share of columns
_FEW_VALUES, _BINS = 5, 10
CALENDAR = 5  # batches


@dataclass(frozen=True, eq=False)
class Recorded:
    """A stream in memory: rows of the training file first; batch i is rows `edges[i]` to `edges[i + 1]`."""

    data: TrainingData
    edges: Sequence[int]
    code: Path

    @classmethod
    def read(cls, cut: Cut) -> Recorded:
        schema = Deployment.model_validate(cut.deployment).schema_value
        label = schema.label
        assert label is not None
        tables = [read_table(cut.pieces.training, "training.path", schema, require_label=True).rows]
        for file in sorted(Path(cut.pieces.incoming).parent.glob("*.parquet")):
            rows = read_table(file, "batches.path", schema, require_label=False).rows
            known = pq.read_table(Path(cut.pieces.labels).parent / file.name).column(label.name)
            tables.append(rows.append_column(label.name, known.cast(tables[0].column(label.name).type)))
        table = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
        labels = table.column(label.name).to_pylist()
        classes = classes_of(labels, label) if label.is_class else ()
        target = class_codes(labels, classes) if classes else np.array(labels, dtype=np.float64)
        edges = np.cumsum([len(each) for each in tables])
        data = TrainingData(features=to_features(table, schema), target=target, classes=classes, schema=schema)
        return cls(data, edges.tolist(), cut.stream.model)

    def rows(self, stop: int) -> TrainingData:
        return replace(self.data, features=self.data.features.iloc[:stop], target=self.data.target[:stop])

    @cached_property
    def numbers(self) -> np.ndarray:
        """All features as columns of numbers: codes for categories, pixels for images."""
        blocks = []
        for name in self.data.features:
            column = self.data.features[name]
            if column.dtype == "category":
                blocks.append(column.cat.codes.to_numpy()[:, None])
            else:
                values = column.to_numpy()
                blocks.append(np.stack(values) if values.dtype == object else values[:, None])
        return np.hstack(blocks).astype(np.float64)


class Rule(Protocol):
    def due(self, batch: int, *, fitted: int, known: Sequence[np.ndarray]) -> bool:
        """After `batch`, with the model fitted on `fitted` rows and `known` losses of the newest labelled batches."""
        ...


class Never:
    def due(self, batch: int, *, fitted: int, known: Sequence[np.ndarray]) -> bool:
        return False


class Calendar:
    def due(self, batch: int, *, fitted: int, known: Sequence[np.ndarray]) -> bool:
        return (batch + 1) % CALENDAR == 0


class AdwinOnLoss:
    """River's defaults, fed with the loss of every labelled row."""

    def __init__(self) -> None:
        from river.drift import ADWIN  # of the extra `bench`

        self._adwin = ADWIN()

    def due(self, batch: int, *, fitted: int, known: Sequence[np.ndarray]) -> bool:
        found = False
        for losses in known:
            for loss in losses:
                self._adwin.update(float(loss))
                found = found or self._adwin.drift_detected
        return found


class DriftShare:
    """Evidently's preset with its defaults: half of the columns farther from the model's training rows than 0.1.

    Wasserstein distance in standard deviations for numbers, Jensen–Shannon for columns of few values.
    """

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def due(self, batch: int, *, fitted: int, known: Sequence[np.ndarray]) -> bool:
        edges, numbers = self._recorded.edges, self._recorded.numbers
        current, reference = numbers[edges[batch] : edges[batch + 1]], numbers[:fitted]
        far = [_far(r, c) for r, c in zip(reference.T, current.T, strict=True)]
        return bool(np.mean(far) >= _SHARE)


def _far(reference: np.ndarray, current: np.ndarray) -> bool:
    values = np.unique(reference)
    if len(values) <= _FEW_VALUES:
        levels = np.union1d(values, current)
        shares = [(each[:, None] == levels).mean(axis=0) for each in (reference, current)]
        return bool(jensenshannon(*shares, base=2) >= _LIMIT)
    return bool(wasserstein_distance(reference, current) / max(reference.std(), 1e-3) >= _LIMIT)


RULES: dict[str, Callable[[Recorded], Rule]] = {
    "never": lambda _: Never(),
    "calendar": lambda _: Calendar(),
    "Evidently's drift share": DriftShare,
    "ADWIN on the loss": lambda _: AdwinOnLoss(),
}


def simulate(cut: Cut, recorded: Recorded, name: str, rule: Rule, *, delay: int) -> Played:
    """Play a rule; the numbers are those that the product reports for itself."""
    edges = recorded.edges
    fitted = edges[0]
    model, losses, retrained, pending = _fit(recorded, fitted), [], 0, []
    for batch in range(len(edges) - 1):
        pending.append(_losses(recorded, model, edges[batch], edges[batch + 1]))
        losses.append(float(pending[-1].mean()))
        known = [pending.pop(0)] if batch >= delay else []
        labelled = edges[max(0, batch + 1 - delay)]
        if rule.due(batch, fitted=fitted, known=known) and labelled > fitted:
            fitted, retrained = labelled, retrained + 1
            model = _fit(recorded, fitted)
    metric = losses if cut.stream.metric == "mae" else [1 - loss for loss in losses]
    return Played(
        stream=cut.stream.name, loop=name, delay=delay, metric=tuple(metric), attempts=retrained, promoted=retrained,
        triggers={},
    )  # fmt: skip


def _fit(recorded: Recorded, stop: int) -> Any:
    code = load_code(recorded.code)
    rng = np.random.default_rng(0)
    return code.model.fit(recorded.rows(stop), init=None, config={}, rng=rng, progress=lambda share, what: None)


def _losses(recorded: Recorded, model: Any, start: int, stop: int) -> np.ndarray:
    """Absolute errors, or 1 for each row whose class is not the likeliest one."""
    scores = model.predict(recorded.data.features.iloc[start:stop])
    target = recorded.data.target[start:stop]
    return np.abs(scores - target) if scores.ndim == 1 else (scores.argmax(axis=1) != target).astype(float)

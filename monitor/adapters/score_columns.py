"""`Scorer` of a model that is served elsewhere: its scores came with the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from monitor.app.ports import ModelBundle
from monitor.domain.model import Scores
from monitor.domain.schema import VALUE, Schema
from monitor.errors import ConfigError

_TWO = 2


class ColumnScorer:
    """Takes the columns `schema.scores` of validated rows, in the order of the version's classes.

    Of a binary label one class's column is enough. Probabilities that are rounded are made to sum to 1.
    """

    def __init__(self, schema: Schema) -> None:
        self._columns = schema.scores

    def score(self, bundle: ModelBundle, rows: pa.Table) -> Scores:
        classes = bundle.manifest.classes
        if not classes:
            return np.array(rows.column(self._columns[VALUE]), dtype=np.float64)
        found = {name: np.array(rows.column(column), dtype=np.float64) for name, column in self._columns.items()}
        if len(classes) == _TWO and len(found) == 1:
            found |= {name: 1.0 - next(iter(found.values())) for name in classes if name not in found}
        self._check(classes, found)
        scores = np.column_stack([found[name] for name in classes])
        shares: Scores = scores / scores.sum(axis=1, keepdims=True)
        return shares

    def close(self) -> None:
        """There is nothing to end."""

    @staticmethod
    def _check(classes: Sequence[str], found: dict[str, Scores]) -> None:
        if without := [name for name in classes if name not in found]:
            raise ConfigError(f"model.scores: no column for class {without[0]!r}, only for {', '.join(found)}")

"""The rows of each candidate: ours by name, and those that a user's own code selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.adapters.features import to_features
from monitor.adapters.model_code import FunctionCode, explain, load_function
from monitor.adapters.training_rows import TrainingRows
from monitor.domain.candidates import Pool, select
from monitor.domain.checks.comparison import Answers
from monitor.domain.selection.own import Situation, as_selection
from monitor.domain.selection.selection import Selection
from monitor.errors import DataError, ModelError, MonitorError

CrossValidated = Callable[[TrainingRows], Answers]


class Candidates:
    """Of one attempt. `refused` says of each candidate that could not be made why."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.refused: dict[str, str] = {}
        self._order = order
        self._own: dict[str, FunctionCode] = {}
        self._current: pa.Table | None = None
        if order["current"] is not None:
            self._current = pq.read_table(order["current"])

    def try_select(self, name: str, rows: TrainingRows, cross_validated: CrossValidated) -> Selection | None:
        """None when this one cannot be made of these rows; the others can."""
        try:
            selection = self.select(name, rows, cross_validated)
            self._check_classes(rows.of(selection), rows.classes())
        except MonitorError as exc:
            self.refused[name] = str(exc)
            return None
        return selection

    def select(self, name: str, rows: TrainingRows, cross_validated: CrossValidated) -> Selection:
        """Raises DataError when these rows do not allow it, ModelError when a user's code fails."""
        if name in self._order["selections"]:
            return self._own_selection(name, rows)
        order, classes = self._order, rows.classes()
        return select(
            name,
            Pool(
                table=rows.table,
                schema=rows.schema,
                target=rows.target(classes),
                classes=classes,
                times=rows.times(),
                window_rows=order["window_rows"],
                current=self._current,
                prior=order["prior"],
                change=self._change,
                rng=self._rng(),
                cross_validated=lambda: cross_validated(rows),
            ),
        )

    def source(self, name: str) -> bytes | None:
        """Of the user's code that made this candidate, to be kept with the version."""
        return self._own[name].source if name in self._own else None

    @property
    def _change(self) -> datetime | None:
        change = self._order["change"]
        return change and datetime.fromisoformat(change)

    def _rng(self) -> np.random.Generator:
        """The same draws for the same rows, whatever was asked before."""
        return np.random.default_rng(self._order["seed"])

    def _own_selection(self, name: str, rows: TrainingRows) -> Selection:
        if name not in self._own:
            self._own[name] = load_function(Path(self._order["selections"][name]), name.rpartition(":")[2])
        code = self._own[name]
        current = None if self._current is None else to_features(self._current, rows.schema)
        situation = Situation(
            times=rows.times(),
            current=current,
            prior=self._order["prior"],
            change=self._change,
            window_rows=self._order["window_rows"],
            rng=self._rng(),
        )
        try:
            answer = code.function(rows.data(), situation)
        except (Exception, SystemExit) as exc:
            raise ModelError(explain(exc, code.path, private=bool(rows.schema.private))) from exc
        try:
            return as_selection(answer, len(rows))
        except DataError as exc:
            raise ModelError(f"{code.path}, {code.function.__name__}: {exc}") from exc

    def _check_classes(self, selected: TrainingRows, classes: tuple[str, ...]) -> None:
        need = self._order["min_class_rows"]
        if not classes or need == 0:
            return
        for name, count in zip(classes, np.bincount(selected.target(classes), minlength=len(classes)), strict=True):
            if count < need:
                raise DataError(f"only {count} rows of class {name!r}, retrain.min_labels_per_class is {need}")

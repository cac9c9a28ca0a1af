"""A training snapshot: its rows, its label as text or value, and what selections of it are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitor.adapters.features import to_features
from monitor.domain.columns import moments
from monitor.domain.labels import class_codes, classes_of
from monitor.domain.model import TrainingData
from monitor.domain.schema import Schema
from monitor.domain.selection.selection import Selection
from monitor.errors import DataError, TooFewRows

_MIN_FIT_ROWS = 2


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Labelled rows, oldest first. `labels`: text for classes, float64 for values. `weights`: None for equal ones."""

    table: pa.Table
    schema: Schema
    labels: npt.NDArray[Any]
    weights: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> TrainingRows:
        return TrainingRows(self.table.slice(start, stop - start), self.schema, self.labels[start:stop])

    def of(self, selection: Selection) -> TrainingRows:
        rows = selection.rows
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1:  # ascending without a gap: nothing is copied
            part = self.part(int(rows[0]), int(rows[-1]) + 1)
        else:
            part = TrainingRows(self.table.take(pa.array(rows)), self.schema, self.labels[rows])
        return replace(part, weights=selection.weights)

    def classes(self) -> tuple[str, ...]:
        """As `domain.labels.classes_of`; empty for regression."""
        label = self.schema.label
        return classes_of(self.labels.tolist(), label, self._place) if label is not None and label.is_class else ()

    def _place(self, row: int) -> str:
        id_, origin = self.schema.id, origin_of(self, row)
        if id_ is None or id_ in self.schema.private:
            return f"first in {origin}"
        return f"first at id {self.table.column(id_)[row].as_py()!r} of {origin}"

    def target(self, classes: Sequence[str]) -> npt.NDArray[Any]:
        """Codes into `classes`, −1 for a class not among them; the values themselves for regression."""
        return class_codes(self.labels.tolist(), classes) if classes else self.labels

    def data(self) -> TrainingData:
        classes = self.classes()
        features = to_features(self.table, self.schema)
        return TrainingData(
            features=features,
            target=self.target(classes),
            classes=classes,
            schema=self.schema,
            weights=self.weights,
        )

    def times(self) -> npt.NDArray[np.datetime64] | None:
        """Event time of every row, UTC; None without a timestamp column."""
        name = self.schema.timestamp
        return None if name is None else moments(self.table.column(name), name)

    def fitted_by_champion(self) -> npt.NDArray[np.bool_]:
        if "_fitted" not in self.table.column_names:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray(self.table.column("_fitted").fill_null(False), dtype=np.bool_)

    def without_anchor(self) -> tuple[TrainingRows, TrainingRows]:
        """The rows that may be trained on, and those that are kept as an anchor."""
        if "_anchor" not in self.table.column_names:
            return self, self.part(0, 0)
        anchor = np.asarray(self.table.column("_anchor").fill_null(False), dtype=np.bool_)
        return self.of(Selection(np.flatnonzero(~anchor))), self.of(Selection(np.flatnonzero(anchor)))

    def lineage(self) -> dict[str, Any]:
        """`origins`: rows per `_origin`; `rows_digest`: over the ids in order; `first` and `last` timestamp, ISO."""
        origins = pc.value_counts(self.table.column("_origin")).to_pylist()
        times = {"min": None, "max": None}
        if self.schema.timestamp:
            times = pc.min_max(self.table.column(self.schema.timestamp)).as_py()
        digest = hashlib.blake2b(digest_size=16)
        for text in self.table.column(self.schema.id).to_pylist() if self.schema.id else []:
            digest.update(f"{text}\n".encode())
        return {
            "origins": {str(each["values"]): int(each["counts"]) for each in origins},
            "rows_digest": digest.hexdigest(),
            "first": times["min"] and times["min"].isoformat(),
            "last": times["max"] and times["max"].isoformat(),
        }


def read_snapshot(file: Path, schema: Schema) -> TrainingRows:
    """Read the whole snapshot. Raises DataError naming file and column."""
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"cannot be read: {exc}", file=str(file)) from exc
    label = schema.label
    if label is None or label.name not in table.column_names:
        raise DataError("the label is missing", file=str(file), column=label.name if label else None)
    column = table.column(label.name)
    if column.null_count:
        raise DataError(f"{column.null_count} labels are missing", file=str(file), column=label.name)
    try:
        values = column.cast(pa.string() if label.is_class else pa.float64()).to_numpy()
    except pa.ArrowException as exc:
        raise DataError(f"is not a number: {exc}", file=str(file), column=label.name) from exc
    return TrainingRows(table, schema, values)


def origin_of(rows: TrainingRows, row: int) -> str:
    """Where a row came from, for a message."""
    origin = rows.table.column("_origin")[row].as_py()
    return "training.path" if origin == "training" else f"batch {origin}"


def split(rows: TrainingRows, held_out: int) -> tuple[TrainingRows, TrainingRows]:
    """The older rows, and the newest `held_out`. Raises TooFewRows when too few are left to fit on."""
    if len(rows) < held_out + _MIN_FIT_ROWS:
        raise TooFewRows(need=held_out + _MIN_FIT_ROWS, have=len(rows), what="training and the held-out block")
    cut = len(rows) - held_out
    return rows.part(0, cut), rows.part(cut, len(rows))


def comparable(older: TrainingRows, held_out: TrainingRows, *, strict: bool) -> npt.NDArray[np.bool_]:
    """Held-out rows that count: those that the champion was not fitted on.

    `strict`: and that are later than all rows that it or a candidate was fitted on, in order and by timestamp.
    """
    fitted = held_out.fitted_by_champion()
    if not strict:
        return ~fitted
    last = int(np.flatnonzero(fitted)[-1]) + 1 if fitted.any() else 0
    later = np.arange(len(held_out)) >= last
    before, times = older.times(), held_out.times()
    if before is not None and times is not None:
        later &= times > max(before.max(), times[:last].max(initial=before.max()))
    return later

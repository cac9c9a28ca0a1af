"""Hold rows of labels against the schema: `id, label, available_at`, one row per id and correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from monitor.adapters.file_reading import RawTable, read_raw
from monitor.adapters.validation.discretion import discreet
from monitor.adapters.validation.rejections import Rejections
from monitor.adapters.validation.rows import check_columns, identified, parsing_notes
from monitor.adapters.validation.times import UTC_MICROSECONDS, times
from monitor.adapters.validation.typed import Finding, Typed, cell, missing, numbers, texts
from monitor.app.ports import Validated
from monitor.domain.quarantine import RowReason
from monitor.domain.schema import Label, LabelKind

_TWO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumns:
    """Where the labels stand; `timezone` is the zone of an `available_at` that carries none."""

    id: str
    label: Label
    available_at: str | None
    timezone: str | None
    private: bool = False


def validate_labels(content: bytes, file: str, columns: LabelColumns, classes: Sequence[str] = ()) -> Validated:
    """Read and judge labels; see `ports.LabelSource` for the table. `available_at` is null where it is not known.

    Different labels of one id, each with another `available_at`, are corrections: all are kept, by moment. Those that
    do not say which came later, because they share a moment or some have none, are refused. The same label again,
    without another one between, is one row, at the earliest moment.

    `classes` are those that the champion knows: of a binary label there is no third.
    Raises DataError when the file as a whole cannot be used.
    """
    label, available = columns.label, columns.available_at
    names = [columns.id, label.name, *([available] if available else [])]
    with discreet(names, private=columns.private):
        raw = read_raw(content, file, scalars=names)
        check_columns(raw, names)
    ids = identified(raw.frame[columns.id], file)
    values = texts(raw.frame[label.name], file) if label.is_class else numbers(raw.frame[label.name], file)
    known = _known_at(raw, columns)
    rejections = Rejections(raw.frame.height)
    rejections.add(columns.id, ids.findings)
    rejections.add(label.name, values.findings)
    rejections.add(label.name, missing(values.values, RowReason.MISSING_LABEL, empty_too=label.is_class))
    if label.kind is LabelKind.BINARY and len(classes) == _TWO:
        rejections.add(label.name, _impossible(values.values, classes))
    if available:
        rejections.add(available, known.findings)
    rows = _good(raw, ids.values, values.values, known.values, rejections)
    rejections.add(label.name, _contradictory(rows, raw.frame.height))
    kept = rows.filter(pl.col("labels") == 1).sort("first", "available_at", nulls_last=True, maintain_order=True)
    once = kept.filter(pl.struct("id", "label").rle_id().diff().fill_null(1) > 0)
    return Validated(
        rows=_table(once, label),
        rejected=rejections.table(raw, private=columns.private),
        notes=(
            *(() if raw.frame.height or raw.broken else ("the file has no rows",)),
            *(
                (f"{kept.height - once.height} labels came twice with the same value",)
                if once.height < kept.height
                else ()
            ),
            *(() if label.is_class else parsing_notes(raw, [label.name])),
        ),
    )


def _known_at(raw: RawTable, columns: LabelColumns) -> Typed:
    if columns.available_at is None:
        return Typed(pa.nulls(raw.frame.height, UTC_MICROSECONDS))
    return times(raw.frame[columns.available_at], raw.file, timezone=columns.timezone, required=False)


def _impossible(labels: pa.Array, classes: Sequence[str]) -> tuple[Finding, ...]:
    given = pl.Series(labels)
    bad = ~given.is_in(list(classes)).fill_null(value=True)
    known = " nor ".join(repr(name) for name in classes)
    finding = Finding(RowReason.IMPOSSIBLE_LABEL, bad.to_numpy(), lambda at: f"{cell(given, at)} is neither {known}")
    return (finding,) if bad.any() else ()


def _good(raw: RawTable, ids: pa.Array, labels: pa.Array, known: pa.Array, rejections: Rejections) -> pl.DataFrame:
    """The good rows, each with the place where its id comes first and how many labels the id has at its `moment`.

    An id with a row of unknown moment has one moment: nothing says which of its labels is the later.
    """
    frame = pl.DataFrame(
        {
            "id": pl.Series(ids, dtype=pl.String),
            "label": pl.Series(labels),
            "available_at": pl.Series(known, dtype=pl.Datetime("us", "UTC")),
            "position": np.arange(raw.frame.height),
        }
    ).filter(pl.Series(rejections.good, dtype=pl.Boolean))
    dated = pl.col("available_at").is_not_null().all().over("id")
    return frame.with_columns(
        pl.col("position").min().over("id").alias("first"), pl.when(dated).then("available_at").alias("moment")
    ).with_columns(pl.col("label").n_unique().over("id", "moment").alias("labels"))


def _contradictory(rows: pl.DataFrame, height: int) -> tuple[Finding, ...]:
    several = rows.filter(pl.col("labels") > 1)
    if several.is_empty():
        return ()
    listed = several.select(
        "position",
        ("id '" + pl.col("id") + "' has the labels ").alias("who")
        + pl.col("label").cast(pl.String).unique(maintain_order=True).implode().list.join(", ").over("id", "moment"),
    )
    details = dict(zip(listed["position"].to_list(), listed["who"].to_list(), strict=True))
    bad = np.zeros(height, dtype=np.bool_)
    bad[listed["position"].to_numpy()] = True
    return (Finding(RowReason.CONTRADICTORY_LABEL, bad, lambda at: str(details[at])),)


def _table(rows: pl.DataFrame, label: Label) -> pa.Table:
    kind = pa.string() if label.is_class else pa.float64()
    return (
        rows.select("id", "label", "available_at")
        .to_arrow()
        .cast(pa.schema([("id", pa.string()), ("label", kind), ("available_at", UTC_MICROSECONDS)]))
    )

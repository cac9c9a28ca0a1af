"""Hold rows of features, and rows to train on, against the schema."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa

from monitor.adapters.file_reading import RawTable, read_raw, refused
from monitor.adapters.validation.arrays import arrays
from monitor.adapters.validation.discretion import discreet
from monitor.adapters.validation.rejections import Rejections
from monitor.adapters.validation.scores import score_findings
from monitor.adapters.validation.times import later_than, outside, times
from monitor.adapters.validation.typed import Finding, Typed, booleans, categories, missing, numbers, texts
from monitor.app.ports import Validated
from monitor.domain.batch import Window
from monitor.domain.quarantine import FileReason, RowReason
from monitor.domain.schema import Kind, Label, Schema
from monitor.errors import DataError

_SHOWN_COLUMNS = 10


def validate_rows(
    content: bytes,
    file: str,
    schema: Schema,
    *,
    label: Label | None = None,
    require_label: bool = False,
    window: Window | None = None,
    latest: datetime | None = None,
) -> Validated:
    """Read and judge rows of features; see `ports.Validated` for the table.

    With `label` the label column, when it is there, becomes the last column (class labels canonical text, else
    float64). `require_label` refuses rows without it. Rows outside `window` or after `latest` are refused.
    Raises DataError when the file as a whole cannot be used.
    """
    names, private = _wanted(schema, label), bool(schema.private)
    with discreet(names, private=private):
        raw = _decoded(content, file, schema, names)
        check_columns(raw, _required(schema, label, require_label=require_label))
    held = {column.name: column for column in raw.frame.get_columns()}
    typed = {name: _typed(held[name], raw.file, schema, label) for name in names if name in held}
    rejections = Rejections(raw.frame.height)
    for name, column in typed.items():
        rejections.add(name, column.findings)
    for name, findings in score_findings(schema, typed):
        rejections.add(name, findings)
    if schema.timestamp is not None:
        stamps = typed[schema.timestamp].values
        late = (
            later_than(stamps, latest) if latest else None,
            outside(stamps, window.start, window.end) if window else None,
        )
        rejections.add(schema.timestamp, [f for f in late if f is not None])
    if label and require_label:
        rejections.add(label.name, missing(typed[label.name].values, RowReason.MISSING_LABEL))
    if schema.id is not None:
        rejections.add(schema.id, _repeated(raw, typed[schema.id].values, rejections))
    rows = pa.table({name: column.values for name, column in typed.items()})
    rejected = rejections.table(raw, private=private)
    return Validated(
        rows=rows if rejections.good.all() else rows.filter(pa.array(rejections.good)),
        rejected=rejected,
        notes=(*_notes(raw, schema, typed), *_ignored(raw, schema)),
    )


def refusals(content: bytes, file: str, schema: Schema, label: Label) -> list[DataError]:
    """All for which `validate_rows` refuses a file of labelled rows as a whole; it raises the first of them."""
    names, found = _wanted(schema, label), []
    try:
        with discreet(names, private=bool(schema.private)):
            raw = _decoded(content, file, schema, names)
    except DataError as exc:
        return [exc]
    try:
        with discreet(names, private=bool(schema.private)):
            check_columns(raw, _required(schema, label, require_label=True))
    except DataError as exc:
        found.append(exc)
    for column in raw.frame.get_columns():
        try:
            _typed(column, file, schema, label)
        except DataError as exc:
            found.append(exc)
    return found


def check_columns(raw: RawTable, required: Sequence[str]) -> None:
    """Raise DataError naming the columns that are not there, with the nearest that are."""
    absent = [name for name in required if name not in raw.columns]
    if not absent:
        return
    lower = {name.lower().strip(): name for name in raw.columns}
    near = difflib.get_close_matches(absent[0].lower(), lower, n=1)
    hint = f"; did you mean {lower[near[0]]!r}?" if near else ""
    if not near and len(raw.columns) == 1 and any(separator in raw.columns[0] for separator in ";\t|"):
        hint = "; the separator must be a comma"
    there = ", ".join(raw.columns[:_SHOWN_COLUMNS]) + (", …" if len(raw.columns) > _SHOWN_COLUMNS else "")
    listed = ", ".join(repr(name) for name in absent)
    raise refused(FileReason.MISSING_COLUMN, f" {listed}{hint} (the file has: {there})", raw.file, column=absent[0])


def parsing_notes(raw: RawTable, names: Sequence[str]) -> tuple[str, ...]:
    """Name the columns that hold text where a format with types could have held the values themselves."""
    types = raw.frame.schema
    found = [n for n in names if raw.typed and types.get(n) == pl.String]
    return (f"values written as text were parsed: {_listed(found)}",) if found else ()


def _wanted(schema: Schema, label: Label | None) -> list[str]:
    roles = (schema.id, schema.timestamp, *schema.features, *schema.scores.values(), schema.control)
    return [name for name in (*roles, label.name if label else None) if name is not None]


def _required(schema: Schema, label: Label | None, *, require_label: bool) -> list[str]:
    """Rows to train on may lack the control column, other rows the label."""
    optional = (schema.control if label else None, label.name if label and not require_label else None)
    return [name for name in _wanted(schema, label) if name not in optional]


def _decoded(content: bytes, file: str, schema: Schema, names: Sequence[str]) -> RawTable:
    array_names = schema.columns_of(Kind.IMAGE, Kind.VECTOR)
    return read_raw(content, file, scalars=[n for n in names if n not in array_names], arrays=array_names)


def _typed(column: pl.Series, file: str, schema: Schema, label: Label | None) -> Typed:
    name = column.name
    if name == schema.id:
        return identified(column, file)
    if name == schema.timestamp:
        return times(column, file, timezone=schema.timezone)
    if label and name == label.name:
        return texts(column, file) if label.is_class else numbers(column, file)
    kind = _other_kind(schema, name) or schema.features[name]
    if kind.is_array:
        return arrays(column, file, image=kind is Kind.IMAGE)
    if kind is Kind.CATEGORICAL:
        return categories(column, file)
    return booleans(column, file) if kind is Kind.BOOLEAN else numbers(column, file)


def _other_kind(schema: Schema, name: str) -> Kind | None:
    """Of a column that is no feature."""
    if name == schema.control:
        return Kind.BOOLEAN
    return Kind.NUMERIC if name in schema.scores.values() else None


def identified(column: pl.Series, file: str) -> Typed:
    """An id column; missing and empty ids are found."""
    found = texts(column, file)
    return Typed(found.values, (*found.findings, *missing(found.values, RowReason.MISSING_ID, empty_too=True)))


def _repeated(raw: RawTable, ids: pa.Array, rejections: Rejections) -> tuple[Finding, ...]:
    """Rows whose id came before among the good ones: a refused row must not cost a good one its place."""
    good = rejections.good
    frame = pl.DataFrame({"id": pl.Series(ids), "row": raw.numbers}).filter(pl.Series(good))
    if frame["id"].n_unique() == frame.height:
        return ()
    first = frame.select(pl.col("row").first().over("id")).to_series().to_numpy()
    bad, first_row = np.zeros(len(good), dtype=np.bool_), np.zeros(len(good), dtype=np.int64)
    bad[good], first_row[good] = first != frame["row"].to_numpy(), first
    return (
        Finding(RowReason.DUPLICATE_ID, bad, lambda at: f"id {ids[at].as_py()!r} came before, in row {first_row[at]}"),
    )


def _notes(raw: RawTable, schema: Schema, typed: dict[str, Typed]) -> tuple[str, ...]:
    if not raw.frame.height:
        return () if raw.broken else ("the file has no rows",)
    empty = [n for n in schema.features if typed[n].values.null_count == len(typed[n].values)]
    parsed = parsing_notes(raw, [n for n in schema.features if schema.features[n] in (Kind.NUMERIC, Kind.BOOLEAN)])
    types = raw.frame.schema
    truths = [n for n in schema.columns_of(Kind.NUMERIC) if types[n] == pl.Boolean]
    return (
        *((f"all values are missing: {_listed(empty)}",) if empty else ()),
        *parsed,
        *((f"booleans were read as 0 and 1: {_listed(truths)}",) if truths else ()),
    )


def _ignored(raw: RawTable, schema: Schema) -> tuple[str, ...]:
    known = {*_wanted(schema, schema.label)}
    extra = [name for name in raw.columns if name not in known]
    if extra and schema.private:  # without its header a file has values where the names should be
        return (f"columns that are not in the schema were ignored: {len(extra)}",)
    return (f"columns that are not in the schema were ignored: {_listed(extra)}",) if extra else ()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_COLUMNS
    return ", ".join(names[:_SHOWN_COLUMNS]) + (f" and {more} more" if more > 0 else "")

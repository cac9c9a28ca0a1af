"""Guess what the columns of a file mean: roles, kinds, and which would be wrong to learn from. Every guess says why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

from monitor.adapters.file_reading import RawTable
from monitor.adapters.validation.times import times
from monitor.adapters.validation.typed import booleans, numbers, texts
from monitor.domain.schema import Kind, LabelKind
from monitor.errors import ConfigError, DataError

_ID = re.compile(r"(?:^|_)(?:id|uuid|guid|key|row|seq|index)$", re.IGNORECASE)
_TIME = re.compile(r"time|date|(?:^|_)(?:ts|at)$", re.IGNORECASE)
_LABEL = ("label", "target", "class", "y", "outcome", "response")
_YES = ("1", "true", "yes", "up", "positive")
_FEW_VALUES = 12  # whole numbers with at most so many values are codes rather than quantities
_MOST_CLASSES = 50
_MOST_LEVELS = 100  # of a text column that is a category however few rows there are
_LARGEST_BYTE = 255
_ROWS_TO_TELL_ORDER = 10
_MONOTONE = 0.95  # rank correlation with the row number
_SAME = 0.999  # correlation with the label of what is the label but for rounding
_ROWS_FOR_SUMS = 1000
_COLUMNS_FOR_SUMS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One column. `values`: numbers and times parsed from text. `skip`: why not to learn from it, else ""."""

    name: str
    values: pl.Series
    distinct: int
    kind: Kind | None  # None: a time
    why: str
    skip: str = ""

    @property
    def is_number(self) -> bool:
        return self.kind is Kind.NUMERIC or (self.kind is not None and self.values.dtype.is_numeric())


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Names are None where no column fits."""

    id: str | None
    timestamp: str | None
    without_zone: bool
    label: Guess
    label_kind: LabelKind
    positive: str | None
    features: tuple[Guess, ...]
    skipped: tuple[Guess, ...]


def guess_roles(raw: RawTable, *, label: str | None) -> Roles:
    """Look at every column. Raises ConfigError when no label can be told, or the named one is not there."""
    columns = [_guess(raw.frame[name], raw) for name in raw.columns]
    target = _label(columns, label, raw.file)
    stamp = _timestamp(columns, target)
    identifier = _identifier(columns, (target, stamp))
    taken = {target.name, *(c.name for c in (stamp, identifier) if c)}
    kind = _label_kind(target)
    rest = [_screened(c, target, kind) for c in columns if c.name not in taken]
    sums = dict(_sums(rest, target)) if kind is LabelKind.REGRESSION else {}
    rest = [_skipped(c, sums[c.name]) if c.name in sums else c for c in rest]
    return Roles(
        id=identifier.name if identifier else None,
        timestamp=stamp.name if stamp else None,
        without_zone=stamp is not None and getattr(stamp.values.dtype, "time_zone", None) is None,
        label=target,
        label_kind=kind,
        positive=_positive(pl.Series(texts(raw.frame[target.name], raw.file).values))
        if kind is LabelKind.BINARY
        else None,
        features=tuple(c for c in rest if not c.skip),
        skipped=tuple(c for c in rest if c.skip),
    )


def _guess(raw: pl.Series, raw_table: RawTable) -> Guess:
    values, kind, why = _kind(raw, raw_table.file)
    distinct = -1 if kind is not None and kind.is_array else values.drop_nulls().n_unique()
    if kind is Kind.NUMERIC and 0 < distinct <= _FEW_VALUES and _whole(values):
        two = set(values.drop_nulls().unique().to_list()) <= {0, 1}
        kind = Kind.BOOLEAN if two else Kind.CATEGORICAL
        why = "0 and 1" if two else f"{distinct} whole numbers; numeric if their order means something"
    return Guess(name=raw.name, values=values, distinct=distinct, kind=kind, why=why)


def _kind(raw: pl.Series, file: str) -> tuple[pl.Series, Kind | None, str]:
    if raw.dtype == pl.Date or isinstance(raw.dtype, pl.Datetime):
        return raw, None, "times"
    if raw.dtype == pl.Boolean:
        return raw, Kind.BOOLEAN, "booleans"
    if raw.dtype.is_numeric():
        return pl.Series(raw.name, numbers(raw, file).values), Kind.NUMERIC, "numbers"
    if raw.dtype == pl.Binary:
        return raw, Kind.IMAGE, "bytes"
    if isinstance(raw.dtype, pl.List | pl.Array):
        flat = raw.explode().cast(pl.Float64, strict=False).drop_nulls()
        bytes_ = len(flat) and _whole(flat) and flat.is_between(0, _LARGEST_BYTE).all()
        return raw, Kind.IMAGE if bytes_ else Kind.VECTOR, "lists of whole numbers 0..255" if bytes_ else "lists"
    return _kind_of_text(raw.cast(pl.String, strict=False), file)


def _kind_of_text(text: pl.Series, file: str) -> tuple[pl.Series, Kind | None, str]:
    if text.null_count() == len(text):
        return text.cast(pl.Float64), Kind.NUMERIC, "nothing"
    number = numbers(text, file)
    if not number.findings and number.values.null_count < len(text):
        return pl.Series(text.name, number.values), Kind.NUMERIC, "numbers as text"
    truth = booleans(text, file)
    if not truth.findings and truth.values.null_count < len(text):
        return pl.Series(text.name, truth.values), Kind.BOOLEAN, "booleans as text"
    try:
        found = times(text, file, timezone=None, required=False)
        zone = "UTC"
    except DataError:  # without a zone
        found = times(text, file, timezone="UTC", required=False)
        zone = None
    if not found.findings and found.values.null_count < len(text):
        return pl.Series(text.name, found.values).dt.replace_time_zone(zone), None, "times as text"
    return text, Kind.CATEGORICAL, "text"


def _whole(values: pl.Series) -> bool:
    known = values.drop_nulls()
    return bool(((known == known.round()) & known.is_finite()).all())


def _label(columns: list[Guess], named: str | None, file: str) -> Guess:
    by_name = {c.name: c for c in columns}
    if named is not None:
        if named not in by_name:
            raise ConfigError(f"{file}: no column {named!r} for the label; the file has: {', '.join(by_name)}")
        return by_name[named]
    lower = {c.name.lower(): c for c in columns}
    found = next((lower[name] for name in _LABEL if name in lower), None)
    if found is None:
        raise ConfigError(f"{file}: cannot tell which column is the label; name it: --label {columns[-1].name}")
    return found


def _label_kind(label: Guess) -> LabelKind:
    if label.kind is None or label.kind.is_array:
        raise ConfigError(f"label {label.name!r} holds {label.why}; a label is a class or a number")
    if label.distinct == 2:  # noqa: PLR2004 - binary
        return LabelKind.BINARY
    if label.kind is Kind.NUMERIC and (label.distinct > _MOST_CLASSES or not _whole(label.values)):
        return LabelKind.REGRESSION
    return LabelKind.MULTICLASS


def _positive(classes: pl.Series) -> str:
    """The class that reads as a yes, else the rarer one; `classes` as the texts by which they are compared."""
    known = classes.drop_nulls()
    yes = next((v for v in known.unique(maintain_order=True) if v.lower() in _YES), None)
    return yes or str(known.value_counts().sort("count", known.name)[known.name][0])


def _timestamp(columns: list[Guess], label: Guess) -> Guess | None:
    stamps = [c for c in columns if c.kind is None and c.name != label.name]
    return next((c for c in stamps if _TIME.search(c.name)), stamps[0] if stamps else None)


def _identifier(columns: list[Guess], taken: tuple[Guess | None, ...]) -> Guess | None:
    """A column with a different value in every row: by its name, else the first of text or whole numbers."""
    unique = [
        c
        for c in columns
        if c not in taken and c.distinct == len(c.values) > 0 and (c.kind is Kind.CATEGORICAL or _counts(c))
    ]
    return next((c for c in unique if _ID.search(c.name)), unique[0] if unique else None)


def _counts(column: Guess) -> bool:
    return column.kind is Kind.NUMERIC and _whole(column.values)


def _screened(column: Guess, label: Guess, label_kind: LabelKind) -> Guess:
    """Mark what would be wrong to learn from."""
    why = next(_objections(column, label, label_kind), None)
    return _skipped(column, why) if why else column


def _objections(column: Guess, label: Guess, label_kind: LabelKind) -> Iterator[str]:
    rows = len(column.values)
    if column.kind is None:
        yield "a time: it tells when, not what"
    elif not column.kind.is_array:
        if column.distinct <= 1:
            yield "constant here" if column.distinct else "all missing here"
        if column.kind is Kind.CATEGORICAL and column.distinct > max(_MOST_LEVELS, rows // 2):
            yield f"{column.distinct} different texts in {rows} rows: no category"
        if _runs_with_the_rows(column):
            yield "grows from row to row like a calendar: it tells when, not what"
        if _gives_away(column, label, label_kind):
            yield f"a likely leak: it gives {label.name!r} away"


def _runs_with_the_rows(column: Guess) -> bool:
    if not column.is_number or column.values.null_count() or len(column.values) < _ROWS_TO_TELL_ORDER:
        return False
    order = pl.select(pl.corr(column.values, pl.int_range(len(column.values)), method="spearman")).item()
    return bool(abs(order) > _MONOTONE) or column.values.is_sorted()


def _skipped(column: Guess, why: str) -> Guess:
    return Guess(
        name=column.name, values=column.values, distinct=column.distinct, kind=column.kind, why=column.why, skip=why
    )


def _gives_away(column: Guess, label: Guess, label_kind: LabelKind) -> bool:
    frame = pl.DataFrame({"x": column.values, "y": label.values}).drop_nulls()
    if label_kind is LabelKind.REGRESSION:
        if not column.is_number or frame.height < 3:  # noqa: PLR2004 - two points are always on a line
            return False
        return bool(abs(frame.select(pl.corr("x", "y")).item()) > _SAME)
    if column.distinct <= _MOST_CLASSES:
        return bool(frame.group_by("x").agg(pl.col("y").n_unique())["y"].max() == 1)
    spans = frame.group_by("y").agg(low=pl.col("x").min(), high=pl.col("x").max()).sort("low")
    return spans.height > 1 and bool((spans["low"][1:] > spans["high"][:-1]).all())


def _sums(columns: list[Guess], label: Guess) -> Iterator[tuple[str, str]]:
    """Pairs of columns that add up to the label."""
    candidates = [c for c in columns if c.is_number and not c.skip][:_COLUMNS_FOR_SUMS]
    y = label.values[:_ROWS_FOR_SUMS].cast(pl.Float64).to_numpy()
    for one, other in combinations(candidates, 2):
        total = one.values[:_ROWS_FOR_SUMS].cast(pl.Float64) + other.values[:_ROWS_FOR_SUMS].cast(pl.Float64)
        if np.allclose(total.to_numpy(), y, equal_nan=True):
            why = f"a likely leak: {one.name} + {other.name} = {label.name}"
            yield from ((one.name, why), (other.name, why))

"""Files that no deployment describes: read as they are, with a schema guessed from what is in them."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from monitor.adapters.file_reading import CSV, JSON_LINES, PARQUET, SUFFIXES, suffix_of
from monitor.domain.private import WITHHELD
from monitor.domain.schema import Kind, Schema
from monitor.errors import ConfigError, DataError, SourceError

_MANY_LEVELS = 100  # text with more distinct values than this …
_IDENTIFYING_SHARE = 0.5  # … and than this share of its rows names rows rather than describing them


@dataclass(frozen=True, slots=True)
class Guess:
    """`left_out`: column → why it is not compared."""

    schema: Schema
    left_out: dict[str, str]


def read_loose(file: Path, *, private: bool = False) -> pl.DataFrame:
    """Read Parquet, CSV or JSON Lines by suffix. Raises SourceError, and DataError for what is not such a file.

    The error quotes no cell when there are `private` columns.
    """
    suffix = suffix_of(file.name)
    if not suffix:
        raise DataError(f"unknown kind of file; known are {', '.join(SUFFIXES)}", file=str(file))
    try:
        if suffix in PARQUET:
            return pl.read_parquet(file)
        if suffix in CSV:
            return pl.read_csv(file, infer_schema_length=None, null_values=["", "NA", "NaN", "null"])
        assert suffix in JSON_LINES  # there is no fourth kind
        return pl.read_ndjson(file, infer_schema_length=None)
    except OSError as exc:
        raise SourceError(f"{file}: cannot be read: {exc.strerror or str(exc).split(' (os error')[0]}") from exc
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as exc:
        said = WITHHELD if private else (str(exc).splitlines() or [type(exc).__name__])[0]
        row = _first_too_long(file) if suffix in CSV else None
        raise DataError(f"cannot be read as {suffix.removeprefix('.')}: {said}", file=str(file), row=row) from exc


def _first_too_long(file: Path) -> int | None:
    """1-based row of a CSV file with more cells than its header; None without one, or when it cannot be told."""
    opened = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8", newline="") as text:
            rows = csv.reader(text)
            width = len(next(rows, []))
            return next((number for number, cells in enumerate(rows, 1) if len(cells) > width), None)
    except (OSError, UnicodeDecodeError, csv.Error, zlib.error, EOFError):
        return None


def guess_schema(frame: pl.DataFrame, ignore: Collection[str] = ()) -> Guess:
    """Features of `frame` by type; times, identifiers and nested values are left out.

    Raises ConfigError when nothing is left, or when a column to ignore is not there.
    """
    for name in ignore:
        if name not in frame.columns:
            raise ConfigError(f"no column {name!r}; known are {', '.join(frame.columns)}")
    features: dict[str, Kind] = {}
    left_out: dict[str, str] = {}
    for series in frame:
        kind, why = (None, "as asked") if series.name in ignore else _kind(series)
        if kind is None:
            left_out[series.name] = why
        else:
            features[series.name] = kind
    if not features:
        raise ConfigError(f"no column can be compared: {', '.join(f'{n} ({w})' for n, w in left_out.items())}")
    return Guess(Schema(features=features), left_out)


def _kind(series: pl.Series) -> tuple[Kind | None, str]:
    kind = series.dtype
    if _counts_rows(series) or _names_rows(series):
        return None, "identifies rows"
    if kind.is_temporal():
        return None, "a time"
    if kind == pl.Boolean:
        return Kind.BOOLEAN, ""
    if kind.is_numeric() or kind == pl.Null:
        return Kind.NUMERIC, ""
    if isinstance(kind, pl.String | pl.Categorical | pl.Enum):
        return Kind.CATEGORICAL, ""
    numbers = isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()
    return (Kind.VECTOR, "") if numbers else (None, f"of type {kind}")


def _names_rows(series: pl.Series) -> bool:
    if series.dtype != pl.String:
        return False
    distinct = series.n_unique()
    return distinct > _MANY_LEVELS and distinct > _IDENTIFYING_SHARE * len(series)


def _counts_rows(series: pl.Series) -> bool:
    """Whole numbers without repetition that are called an id."""
    name = series.name.lower()
    called = name in ("id", "index") or name.endswith("_id")
    return called and series.dtype.is_integer() and len(series) > 1 and series.n_unique() == len(series)

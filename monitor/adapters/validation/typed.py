"""Turn a raw column into its Arrow type, and point at the cells that are not of its kind. Vectorised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from monitor.adapters.file_reading import refused, times_as_text
from monitor.domain.quarantine import FileReason, RowReason
from monitor.errors import DataError

Mask = npt.NDArray[np.bool_]

_MISSING = ("", "na", "n/a", "nan", "null", "none")  # as text, in columns that are not themselves text
_TRUE, _FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")
_ODD = r"^(?:-?(?:0|[1-9][0-9]*)\.0+|-0|True|TRUE|False|FALSE)$"  # text that is not canonical
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that are refused, for one reason; `detail(position)` is asked only for those."""

    reason: RowReason
    bad: Mask
    detail: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Typed:
    """A column in its Arrow type. Cells of refused rows hold anything, mostly null."""

    values: pa.Array
    findings: tuple[Finding, ...] = ()


def numbers(raw: pl.Series, file: str) -> Typed:
    """As float64, NaN as null. Text is parsed, booleans are 0 and 1; infinities and other text are found."""
    if raw.dtype == pl.String:
        return _parsed_numbers(raw)
    if raw.dtype == pl.Null:
        return Typed(pa.nulls(len(raw), pa.float64()))
    if not (raw.dtype.is_numeric() or raw.dtype == pl.Boolean):
        raise wrong_column(raw, "numbers", file)
    return _finite(raw if raw.dtype == pl.Float64 else raw.cast(pl.Float64))


def booleans(raw: pl.Series, file: str) -> Typed:
    """As bool. The numbers 0 and 1, and true/false, t/f, yes/no, y/n as text in any case are read as such."""
    if raw.dtype in (pl.Boolean, pl.Null):
        return Typed(_arrow(raw.cast(pl.Boolean), pa.bool_()))
    if raw.dtype == pl.String:
        text = raw.str.strip_chars().str.to_lowercase()
        missing = text.is_in(_MISSING)
    elif raw.dtype.is_numeric():
        text = raw.cast(pl.Float64).fill_nan(None).cast(pl.String)
        missing = text.is_null()
    else:
        raise wrong_column(raw, "booleans", file)
    true, false = text.is_in(_TRUE), text.is_in(_FALSE)
    bad = ~(true | false | missing).fill_null(value=True)
    values = pl.select(pl.when(true).then(True).when(false).then(False)).to_series()
    return Typed(_arrow(values, pa.bool_()), _if_any(RowReason.WRONG_TYPE, bad, _quoting(raw, "is not a boolean")))


def texts(raw: pl.Series, file: str) -> Typed:
    """As canonical text: whole numbers without fraction (1, 1.0 and "1.0" are "1"), booleans "true" and "false".

    For ids, categories and class labels, so that one value has one text whatever format or writer it came by.
    """
    if raw.dtype == pl.Null:
        return Typed(pa.nulls(len(raw), pa.string()))
    if raw.dtype in (pl.Categorical, pl.Enum, pl.String):
        return Typed(_arrow(_canonical(raw.cast(pl.String)), pa.string()))
    if raw.dtype.is_float() or raw.dtype.is_decimal():
        known = raw.cast(pl.Float64).fill_nan(None)
        whole = known.cast(pl.Int64, strict=False)
        text = pl.select(pl.when(whole == known).then(whole.cast(pl.String)).otherwise(raw.cast(pl.String))).to_series()
        values = pl.select(pl.when(known.is_not_null()).then(text)).to_series()
        infinite = known.is_infinite().fill_null(value=False)
        return Typed(_arrow(values, pa.string()), _if_any(RowReason.NOT_FINITE, infinite, _quoting(raw, "is infinite")))
    if raw.dtype.is_integer() or raw.dtype in (pl.Boolean, pl.Date):
        return Typed(_arrow(raw.cast(pl.String), pa.string()))
    raise wrong_column(raw, "text, numbers or booleans", file)


def categories(raw: pl.Series, file: str) -> Typed:
    """As `texts`, dictionary-encoded; of text each level is looked at once, not each cell."""
    if raw.dtype != pl.String:
        found = texts(raw, file)
        return Typed(found.values.dictionary_encode(), found.findings)
    held = _arrow(raw, pa.string()).dictionary_encode()
    if not pc.any(pc.match_substring_regex(held.dictionary, _ODD)).as_py():
        return Typed(held)
    canonical = _arrow(_canonical(pl.Series(held.dictionary)), pa.string())
    return Typed(canonical.take(held.indices).dictionary_encode())


def missing(values: pa.Array, reason: RowReason, *, empty_too: bool = False) -> tuple[Finding, ...]:
    """Find the nulls of a column that must be filled; `empty_too` counts "" as null."""
    column = pl.Series(values)
    gone = column.is_null()
    if empty_too:
        gone = gone | (column == "").fill_null(value=False)
    return _if_any(reason, gone, lambda _: "no value")


def wrong_column(raw: pl.Series, expected: str, file: str) -> DataError:
    held = "categories" if raw.dtype == pl.Enum else raw.dtype  # which would list its categories
    return refused(FileReason.WRONG_COLUMN_TYPE, f": {expected} expected, the file holds {held}", file, column=raw.name)


def cell(raw: pl.Series, position: int) -> str:
    """A cell as shown in messages, shortened."""
    one = raw.slice(position, 1)
    shown = str(times_as_text(one)[0]) if raw.dtype.is_temporal() else repr(one[0])
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"


def _canonical(text: pl.Series) -> pl.Series:
    odd = text.str.contains(_ODD)
    if not odd.any():
        return text
    plain = text.str.replace(r"^(-?\d+)\.0+$", "${1}").str.replace(r"^-0$", "0")
    lowered = pl.when(plain.is_in(["True", "TRUE", "False", "FALSE"])).then(plain.str.to_lowercase()).otherwise(plain)
    return pl.select(pl.when(odd).then(lowered).otherwise(text)).to_series()


def _parsed_numbers(raw: pl.Series) -> Typed:
    text = raw.str.strip_chars()
    parsed = text.cast(pl.Float64, strict=False)
    known_missing = text.str.to_lowercase().is_in(_MISSING).fill_null(value=True)
    bad = parsed.is_null() & ~known_missing
    finite = _finite(parsed)
    return Typed(
        finite.values, (*_if_any(RowReason.WRONG_TYPE, bad, _quoting(raw, "is not a number")), *finite.findings)
    )


def _finite(raw: pl.Series) -> Typed:
    values = raw.to_numpy()  # nulls as NaN
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.add.reduce(values)):  # a sum with NaN or infinity is neither
            return Typed(raw.to_arrow())
    return Typed(
        pa.array(values, from_pandas=True),  # NaN as null
        _if_any(RowReason.NOT_FINITE, np.isinf(values), _quoting(raw, "is infinite")),
    )


def _if_any(reason: RowReason, bad: pl.Series | Mask, detail: Callable[[int], str]) -> tuple[Finding, ...]:
    mask = bad.to_numpy() if isinstance(bad, pl.Series) else bad
    return (Finding(reason, mask, detail),) if mask.any() else ()


def _quoting(raw: pl.Series, complaint: str) -> Callable[[int], str]:
    return lambda position: f"{cell(raw, position)} {complaint}"


def _arrow(values: pl.Series, kind: pa.DataType) -> pa.Array:
    found = values.to_arrow()
    return found if found.type == kind else found.cast(kind)

"""Timestamps: from whatever a file holds to UTC microseconds."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa

from monitor.adapters.file_reading import fits_calendar, refused
from monitor.adapters.validation.typed import Finding, Mask, Typed, cell, missing, wrong_column
from monitor.domain.quarantine import FileReason, RowReason

UTC_MICROSECONDS = pa.timestamp("us", "UTC")

_NO_TIME = ("", "na", "nan", "nat", "null", "none")
_ISO = (
    r"^(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<minute>\d{2}:\d{2})(?P<second>:\d{2}(?:[.,]\d+)?)?)?"
    r" ?(?P<zone>[Zz]|UTC|[+-]\d{2}(?::?\d{2})?)?$"
)
_REMEDY = "set `schema.timezone` to the zone they are in, such as `schema.timezone: UTC`, or write them with one"


def times(raw: pl.Series, file: str, *, timezone: str | None, required: bool = True) -> Typed:
    """As timestamp[us, UTC]. Text is read as ISO 8601; times without zone are in `timezone`.

    Local times that a change of the clock makes ambiguous or impossible are found, not guessed.
    Raises DataError when no time has a zone and `timezone` is None, or when the column holds no times.
    """
    if raw.dtype == pl.Null:
        empty = pa.nulls(len(raw), UTC_MICROSECONDS)
        return Typed(empty, missing(empty, RowReason.MISSING_TIMESTAMP) if required else ())
    if raw.dtype == pl.String:
        return _from_text(raw, file, timezone, required)
    if raw.dtype == pl.Date or isinstance(raw.dtype, pl.Datetime):
        return _from_times(raw, file, timezone, required)
    raise wrong_column(raw, "dates and times (ISO 8601 when text)", file)


def _from_times(raw: pl.Series, file: str, timezone: str | None, required: bool) -> Typed:
    zone = raw.dtype.time_zone if isinstance(raw.dtype, pl.Datetime) else None
    impossible = ~fits_calendar(raw).fill_null(value=True)
    findings = _found(RowReason.BAD_TIMESTAMP, impossible.to_numpy(), raw, "is outside the years 1 to 9999")
    held = pl.select(pl.when(~impossible).then(raw)).to_series() if findings else raw
    values = held.cast(pl.Datetime("us", zone))
    if zone is None:
        if timezone is None and len(raw):
            raise refused(FileReason.NO_TIMEZONE, f"; {_REMEDY}", file, column=raw.name)
        values, more = _localised(raw, values, timezone or "UTC")
        findings += more
    return _finished(raw, values, raw.is_null(), findings, required)


def _from_text(raw: pl.Series, file: str, timezone: str | None, required: bool) -> Typed:
    parts = raw.str.strip_chars().str.extract_groups(_ISO).struct.unnest()
    clock = parts["minute"].fill_null("00:00") + parts["second"].fill_null(":00").str.replace(",", ".", literal=True)
    local = (parts["date"] + " " + clock).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    local = pl.select(pl.when(fits_calendar(local)).then(local)).to_series()
    zoned = parts["zone"].is_not_null()
    gone = raw.is_null() | raw.str.strip_chars().str.to_lowercase().is_in(_NO_TIME).fill_null(value=True)
    naive = ~zoned & local.is_not_null()
    unknown = (local.is_null() & ~gone).to_numpy()
    findings = [
        *_found(RowReason.BAD_TIMESTAMP, unknown, raw, "is not an ISO 8601 date or time"),
    ]
    moved = (local - _offset(parts["zone"])).dt.replace_time_zone("UTC")
    if naive.any():
        if timezone is None and not zoned.any():
            raise refused(FileReason.NO_TIMEZONE, f"; {_REMEDY}", file, column=raw.name)
        if timezone is None:
            findings += _found(RowReason.NO_TIMEZONE, naive.to_numpy(), raw, "has no zone")
        else:
            placed, more = _localised(raw, pl.select(pl.when(naive).then(local)).to_series(), timezone)
            moved = pl.select(pl.when(naive).then(placed.dt.convert_time_zone("UTC")).otherwise(moved)).to_series()
            findings += more
    return _finished(raw, moved, gone, tuple(findings), required)


def _offset(zone: pl.Series) -> pl.Series:
    """East of Greenwich; nothing, Z and UTC are zero."""
    sign = zone.str.slice(0, 1).replace_strict({"+": 1, "-": -1}, default=0, return_dtype=pl.Int64).fill_null(0)
    digits = zone.str.replace_all(r"\D", "")
    hours = digits.str.slice(0, 2).cast(pl.Int64, strict=False).fill_null(0)
    minutes = digits.str.slice(2, 2).cast(pl.Int64, strict=False).fill_null(0)
    return (sign * (hours * 60 + minutes) * 60_000_000).cast(pl.Duration("us"))


def _localised(raw: pl.Series, local: pl.Series, timezone: str) -> tuple[pl.Series, tuple[Finding, ...]]:
    placed = local.dt.replace_time_zone(timezone, ambiguous="null", non_existent="null")
    lost = (placed.is_null() & local.is_not_null()).to_numpy()
    complaint = f"exists twice or not at all in {timezone}, where the clock was changed"
    return placed, _found(RowReason.CLOCK_CHANGE, lost, raw, complaint)


def _finished(
    raw: pl.Series, values: pl.Series, gone: pl.Series, findings: tuple[Finding, ...], required: bool
) -> Typed:
    array = values.dt.convert_time_zone("UTC").to_arrow()
    if required:
        findings = (*findings, *_found(RowReason.MISSING_TIMESTAMP, gone.to_numpy(), raw, "is no time"))
    return Typed(array if array.type == UTC_MICROSECONDS else array.cast(UTC_MICROSECONDS), findings)


def outside(values: pa.Array, start: datetime, end: datetime) -> Finding | None:
    """Find the times outside [start, end)."""
    bad = _microseconds(values)
    known = ~np.asarray(values.is_null())
    mask = known & ((bad < _since_epoch(start)) | (bad >= _since_epoch(end)))
    return _late(RowReason.OUTSIDE_WINDOW, values, mask, f"is outside {start.isoformat()} to {end.isoformat()}")


def later_than(values: pa.Array, latest: datetime) -> Finding | None:
    """Find the times after `latest`."""
    mask = ~np.asarray(values.is_null()) & (_microseconds(values) > _since_epoch(latest))
    return _late(RowReason.IN_FUTURE, values, mask, f"is later than {latest.isoformat()}")


def _microseconds(values: pa.Array) -> np.typing.NDArray[np.int64]:
    found: np.typing.NDArray[np.int64] = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return found


def _since_epoch(at: datetime) -> int:
    gap = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds


def _late(reason: RowReason, values: pa.Array, bad: Mask, complaint: str) -> Finding | None:
    return Finding(reason, bad, lambda at: f"{values[at].as_py().isoformat()} {complaint}") if bad.any() else None


def _found(reason: RowReason, bad: Mask, raw: pl.Series, complaint: str) -> tuple[Finding, ...]:
    return (Finding(reason, bad, lambda at: f"{cell(raw, at)} {complaint}"),) if bad.any() else ()

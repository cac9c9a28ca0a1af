"""Columns that only say when a row happened: their values are a function of the timestamp, so they never drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.schema import Kind, Schema
from monitor.errors import DataError

Times = npt.NDArray[np.datetime64]
_Codes = npt.NDArray[np.int64]
_Rows = npt.NDArray[np.bool_]

_AGREEING = 0.999  # of the rows: a change of the clocks, or a few wrong cells, do not hide a calendar column
_FEWEST_VISITS = 2  # of a phase, in different cycles: otherwise anything that moves slowly would pass
_SETTLED_SHARE = 0.9  # of the rows that must lie in phases visited often enough
_FEWEST_MONTHS = 3  # for a column that counts the months of a reference shorter than two years


def calendar_columns(frame: Any, schema: Schema, times: Times | Sequence[Any]) -> tuple[str, ...]:
    """Names of the features that are functions of the moment: time of day, weekday, hour of the week, day, month.

    `times`: one UTC moment per row of `frame`, as datetime64 or what numpy makes it of. A phase must have been visited
    in two cycles (two days for an hour, two years for a month); the number of the month is also known within one year.
    Raises DataError when the lengths differ.
    """
    moments = np.asarray(times).astype("datetime64[s]")
    phases = [_settled(*each) for each in _phases(moments).values()] if len(moments) else []
    found = []
    for name, kind in schema.features.items():
        if kind.is_array:
            continue
        codes = _codes(frame, name, kind)
        if len(codes) != len(moments):
            raise DataError(f"{len(codes)} rows, but {len(moments)} timestamps", column=name)
        if len(codes) and (codes != codes[0]).any() and _is_calendar(codes, phases, frame, name, moments):
            found.append(name)
    return tuple(found)


def _is_calendar(codes: _Codes, phases: Sequence[tuple[_Codes, _Rows]], frame: Any, name: str, moments: Times) -> bool:
    return any(_determines(phase, settled, codes) for phase, settled in phases) or _counts_months(frame, name, moments)


def _phases(moments: Times) -> dict[str, tuple[_Codes, _Codes]]:
    """Name → (phase, cycle) of every row; a cycle is one day for the hours, one week for the weekday, …"""
    seconds = moments.astype(np.int64)
    days = seconds // 86400
    weekday = (days + 3) % 7  # 1 January 1970 was a Thursday; 0 is Monday
    week = (days + 3) // 7
    months = moments.astype("datetime64[M]").astype(np.int64)
    day_of_month = (moments.astype("datetime64[D]") - moments.astype("datetime64[M]")).astype(np.int64)
    return {
        "time of day": (seconds % 86400 // 60, days),
        "weekday": (weekday, week),
        "hour of the week": (weekday * 24 + seconds % 86400 // 3600, week),
        "day of the month": (day_of_month, months),
        "month": (months % 12, months // 12),
    }


def _settled(phase: _Codes, cycle: _Codes) -> tuple[_Codes, _Rows]:
    """The phases as codes from 0, and the rows in those that were visited in several cycles."""
    _, phase = np.unique(phase, return_inverse=True)
    visits = np.unique(np.stack([phase, cycle]), axis=1)[0]
    return phase, (np.bincount(visits) >= _FEWEST_VISITS)[phase]


def _determines(phase: _Codes, settled: _Rows, codes: _Codes) -> bool:
    """Does the phase alone tell the value? Only settled rows count."""
    if settled.mean() < _SETTLED_SHARE:
        return False
    phase, codes = phase[settled], codes[settled]
    phases, width = int(phase.max()) + 1, int(codes.max()) + 1
    values = len(np.unique(codes))
    if values < 2 or values - phases > (1 - _AGREEING) * len(codes):  # noqa: PLR2004 - one value says nothing
        return False  # every value beyond the number of phases is a row that disagrees
    pairs, counts = np.unique(phase * width + codes, return_counts=True)
    most = np.zeros(phases, dtype=np.int64)
    np.maximum.at(most, pairs // width, counts)
    return bool(most.sum() >= _AGREEING * len(codes))


def _counts_months(frame: Any, name: str, moments: Times) -> bool:
    """Is the column the number of the month, counted from 0 or 1?"""
    try:
        values = cols.numbers(cols.column(frame, name), name)
    except DataError:
        return False
    month = moments.astype("datetime64[M]").astype(np.int64) % 12
    if len(np.unique(month)) < _FEWEST_MONTHS:
        return False
    return any(float((values == month + first).mean()) >= _AGREEING for first in (0, 1))


def _codes(frame: Any, name: str, kind: Kind) -> _Codes:
    column = cols.column(frame, name)
    if kind is Kind.NUMERIC:
        return np.asarray(np.unique(cols.numbers(column, name), return_inverse=True)[1], dtype=np.int64)
    return np.asarray(cols.codes(column, name)[0], dtype=np.int64)

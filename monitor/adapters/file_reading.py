"""Decode a file into a raw table: Parquet, Arrow, CSV, JSON Lines, told apart by suffix. Nothing is judged here yet.

Rows that cannot even be taken apart are set aside one by one; a file that cannot is a DataError.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from monitor.domain.quarantine import FileReason, RowReason
from monitor.errors import DataError

PARQUET, ARROW = (".parquet",), (".arrow", ".feather")
CSV, JSON_LINES = (".csv", ".csv.gz"), (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
SUFFIXES = (*PARQUET, *ARROW, *CSV, *JSON_LINES)

_MAGIC = b"PAR1"
_ARROW_MAGIC = b"ARROW1"  # of an IPC file; a stream has none
_SMALLEST_PARQUET = 12  # bytes: magic, footer length, magic
_UNITS_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_FIRST_DAY, _LAST_DAY = (d.toordinal() - date(1970, 1, 1).toordinal() for d in (date.min, date.max))
_CSV_BLOCK_BYTES = 8 * 1024**2  # no CSV row may be longer


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRow:
    """A row that did not make it into the table. `row` is 1-based; header and blank lines do not count."""

    row: int
    column: str
    reason: RowReason
    detail: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """The wanted columns as the file holds them.

    `columns`: names of all columns of the file. `numbers[i]`: 1-based number of row i among all rows of the file,
    broken ones included; a blank line is no row. `typed`: False when everything is text because the format knows
    nothing else (CSV). `contents`: the whole input rows at some positions as JSON text; costs
    another reading of the file.
    """

    file: str
    frame: pl.DataFrame
    columns: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    typed: bool
    contents: Callable[[Sequence[int]], list[str]]
    broken: tuple[BrokenRow, ...] = ()


def suffix_of(name: str) -> str:
    """The known suffix that `name` ends with, whatever its case, or ""."""
    return next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), "")


def parquet_footer_missing(size: int, head: bytes, tail: bytes) -> bool:
    """True when a file starts as Parquet but does not end as Parquet: still being written, or cut off."""
    return _MAGIC.startswith(head[:4]) and (tail[-4:] != _MAGIC or size < _SMALLEST_PARQUET)


def read_raw(content: bytes, file: str, *, scalars: Sequence[str], arrays: Sequence[str] = ()) -> RawTable:
    """Decode those of the named columns that are there; `arrays` are the ones that may hold lists.

    Raises DataError naming `file`: empty, unknown type, truncated, damaged, not UTF-8, a column twice.
    """
    suffix = suffix_of(file)
    if not suffix:
        raise refused(FileReason.UNKNOWN_FORMAT, f"; known are {', '.join(SUFFIXES)}", file)
    if suffix.endswith(".gz") and content:
        content = _gunzipped(content, file)
    if not content:
        raise refused(FileReason.EMPTY_FILE, "", file)
    if suffix in PARQUET:
        return _read_parquet(content, file, [*scalars, *arrays])
    if suffix in ARROW:
        return _read_arrow(content, file, [*scalars, *arrays])
    if suffix in CSV:
        return _read_csv(content, file, [*scalars, *arrays])
    return _read_json_lines(content, file, scalars, arrays)


def refused(
    reason: FileReason, detail: str, file: str, *, column: str | None = None, row: int | None = None
) -> DataError:
    """The error for a whole file; its text starts with the reason's."""
    return DataError(f"{reason.text}{detail}", file=file, column=column, row=row)


def as_json(row: Any) -> str:
    """JSON text of any cell or row: bytes as base64, times as ISO 8601, NaN and infinities as text."""
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:  # NaN or an infinity
        return json.dumps(_plain(row), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _gunzipped(content: bytes, file: str) -> bytes:
    try:
        return gzip.decompress(content)
    except EOFError as exc:
        raise refused(FileReason.TRUNCATED, " gzip: the end of the stream is missing", file) from exc
    except (OSError, zlib.error) as exc:
        raise refused(FileReason.DAMAGED, f" as gzip: {exc}", file) from exc


def _read_parquet(content: bytes, file: str, wanted: Sequence[str]) -> RawTable:
    if not _MAGIC.startswith(content[:4]):
        raise refused(FileReason.DAMAGED, " as Parquet: it does not start with PAR1", file)
    if parquet_footer_missing(len(content), content, content):
        raise refused(
            FileReason.TRUNCATED, f" Parquet: {len(content)} bytes and no footer; deliver the file again", file
        )

    def decoded(columns: list[str] | None) -> pl.DataFrame:
        try:
            return pl.read_parquet(content, columns=columns)  # polars never lets go of all of a BytesIO
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
            raise refused(FileReason.DAMAGED, f" as Parquet: {_first_line(exc)}", file) from exc

    try:
        names = list(pl.read_parquet_schema(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as exc:
        twice = any(word in str(exc) for word in ("duplicate", "more than one occurrence"))  # polars has no type for it
        reason = FileReason.DUPLICATE_COLUMN if twice else FileReason.DAMAGED
        raise refused(reason, f": {_first_line(exc)}", file) from exc
    frame = decoded([name for name in names if name in set(wanted)])
    return RawTable(
        file=file,
        frame=frame,
        columns=tuple(names),
        numbers=np.arange(1, frame.height + 1),
        typed=True,
        contents=lambda positions: _rows_as_json(decoded(None), positions),
    )


def _read_arrow(content: bytes, file: str, wanted: Sequence[str]) -> RawTable:
    """An IPC file or stream, uncompressed or not. Every offset is checked: a wrong one would take the process down."""
    whole = content.startswith(_ARROW_MAGIC)
    if whole and not content.endswith(_ARROW_MAGIC):
        raise refused(FileReason.TRUNCATED, f" Arrow: {len(content)} bytes and no footer; deliver the file again", file)
    try:
        table = (pa.ipc.open_file if whole else pa.ipc.open_stream)(pa.BufferReader(content)).read_all()
        table.validate(full=True)
        twice = next((name for name in table.column_names if table.column_names.count(name) > 1), None)
        frame = pl.DataFrame() if twice else pl.DataFrame(pl.from_arrow(table))
    except (pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as exc:
        raise refused(FileReason.DAMAGED, f" as Arrow: {_first_line(exc)}", file) from exc
    if twice is not None:
        raise refused(FileReason.DUPLICATE_COLUMN, "", file, column=twice)
    return RawTable(
        file=file,
        frame=frame.select([name for name in table.column_names if name in set(wanted)]),
        columns=tuple(table.column_names),
        numbers=np.arange(1, table.num_rows + 1),
        typed=True,
        contents=lambda positions: _rows_as_json(frame, positions),
    )


def _read_csv(content: bytes, file: str, wanted: Sequence[str]) -> RawTable:
    header = _csv_header(content, file)
    broken: list[BrokenRow] = []

    def decoded(columns: Sequence[str]) -> pl.DataFrame:
        broken.clear()

        def set_aside(row: Any) -> str:
            detail = f"{row.actual_columns} fields where the header has {row.expected_columns}"
            broken.append(
                BrokenRow(
                    row=row.number - 1, column="", reason=RowReason.UNREADABLE_ROW, detail=detail, content=row.text
                )
            )
            return "skip"

        return _csv_as_text(content, file, header, columns, set_aside)

    frame = decoded([name for name in header if name in set(wanted)])
    numbers = np.arange(1, frame.height + len(broken) + 1)
    return RawTable(
        file=file,
        frame=frame,
        columns=header,
        numbers=np.setdiff1d(numbers, [b.row for b in broken]),
        typed=False,
        broken=tuple(broken),
        contents=lambda positions: _rows_as_json(decoded(header), positions),
    )


def _csv_header(content: bytes, file: str) -> tuple[str, ...]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        row = content.count(b"\n", 0, exc.start)
        found = " (it looks like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        detail = f" at byte {exc.start} (0x{content[exc.start]:02x}){found}; write the file as UTF-8"
        raise refused(FileReason.NOT_UTF8, detail, file, row=row or None) from exc
    try:
        header = next((row for row in csv.reader(io.StringIO(text[: 1024**2], newline="")) if row), None)
    except csv.Error as exc:
        raise refused(FileReason.DAMAGED, f" as CSV: {exc} in the header", file) from exc
    if header is None or not text.strip():
        raise refused(FileReason.EMPTY_FILE, "", file)
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise refused(FileReason.DUPLICATE_COLUMN, "", file, column=twice)
    return tuple(header)


def _csv_as_text(
    content: bytes, file: str, header: Sequence[str], columns: Sequence[str], set_aside: Callable[[Any], str]
) -> pl.DataFrame:
    """Decode with Arrow, which hands over every row with a wrong number of fields and reads any line end."""
    empty = pl.DataFrame({name: pl.Series(name, [], dtype=pl.String) for name in columns})
    if not content.rstrip(b"\r\n").count(b"\n") and not content.rstrip(b"\r\n").count(b"\r"):
        return empty  # a header only
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(content),
            # with threads the rows that are set aside would come without their numbers
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=set_aside),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                include_columns=list(columns),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as exc:
        raise refused(FileReason.DAMAGED, f" as CSV: {_first_line(exc)}", file) from exc
    frame = pl.from_arrow(table)
    return frame if isinstance(frame, pl.DataFrame) else empty


def _read_json_lines(content: bytes, file: str, scalars: Sequence[str], arrays: Sequence[str]) -> RawTable:
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    broken: list[BrokenRow] = []
    lines = filter(bytes.strip, content.removeprefix(b"\xef\xbb\xbf").splitlines())
    for number, line in enumerate(lines, start=1):
        try:
            row = _object(line)
        except (ValueError, RecursionError) as exc:  # JSON and UTF-8 errors are ValueErrors
            shown = line.decode(errors="backslashreplace")
            found = BrokenRow(
                row=number, column="", reason=RowReason.UNREADABLE_ROW, detail=_first_line(exc), content=shown
            )
            broken.append(found)
            continue
        if (nested := _nested(row, scalars)) is not None:
            detail = f"{_shortened(as_json(row[nested]))} where a single value is expected"
            found = BrokenRow(
                row=number, column=nested, reason=RowReason.WRONG_TYPE, detail=detail, content=as_json(row)
            )
            broken.append(found)
            continue
        rows.append(row)
        numbers.append(number)
    names = tuple(dict.fromkeys(chain.from_iterable(rows)))
    there = set(names) if rows else {*scalars, *arrays}  # without rows nothing can be missing
    return RawTable(
        file=file,
        frame=pl.DataFrame(
            [_series(name, [r.get(name) for r in rows]) for name in (*scalars, *arrays) if name in there]
        ),
        columns=names or (*scalars, *arrays),
        numbers=np.array(numbers, dtype=np.int64),
        typed=True,
        broken=tuple(broken),
        contents=lambda positions: [as_json(rows[at]) for at in positions],
    )


def _nested(row: dict[str, Any], scalars: Sequence[str]) -> str | None:
    """The first column that holds a list or an object where a single value belongs."""
    if {list, dict}.isdisjoint(map(type, row.values())):
        return None
    return next((name for name in scalars if isinstance(row.get(name), list | dict)), None)


def _object(line: bytes) -> dict[str, Any]:
    row = json.loads(line.decode(), object_pairs_hook=_without_repeats)
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    return row


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key occurs twice")
    return row


def _series(name: str, values: list[Any]) -> pl.Series:
    """A column of JSON values; what is not all of one type becomes text, to be parsed like the text of a CSV."""
    types = set(map(type, values)) - {type(None)}
    if types <= {int, float}:
        dtype = pl.Null if not types else pl.Float64 if float in types else pl.Int64
        if dtype is not pl.Int64 or all(abs(v) < 2**63 for v in values if v is not None):
            return pl.Series(name, values, dtype=dtype, strict=False)
    if types in ({bool}, {str}):
        return pl.Series(name, values, dtype=pl.Boolean if bool in types else pl.String)
    if types == {list}:
        inner = set(map(type, chain.from_iterable(v for v in values if v is not None))) - {type(None)}
        if inner <= {int, float}:
            element = pl.Float64 if float in inner else pl.Int64
            return pl.Series(name, values, dtype=pl.List(element), strict=False)
    return pl.Series(name, [v if v is None or isinstance(v, str) else as_json(v) for v in values], dtype=pl.String)


def _rows_as_json(frame: pl.DataFrame, positions: Iterable[int]) -> list[str]:
    some = frame[list(positions)]
    readable = [times_as_text(column) if column.dtype.is_temporal() else column for column in some.get_columns()]
    return [as_json(row) for row in pl.DataFrame(readable).to_dicts()]


def fits_calendar(times: pl.Series) -> pl.Series:
    """Which dates and datetimes are in the years 1 to 9999, a day left at both ends for a change of zone.

    Polars holds others, but panics when it has to write some of them.
    """
    unit = getattr(times.dtype, "time_unit", None)
    days = times.to_physical() // (_UNITS_PER_DAY[unit] if unit else 1)
    return days.is_between(_FIRST_DAY + 1, _LAST_DAY - 1)


def times_as_text(times: pl.Series) -> pl.Series:
    """As text, or as the bare number of units since 1970 where no calendar holds it."""
    numbers = times.to_physical().cast(pl.String)
    if not (times.dtype == pl.Date or isinstance(times.dtype, pl.Datetime)):
        return numbers.alias(times.name)
    held = pl.select(pl.when(fits_calendar(times)).then(times)).to_series().cast(pl.String)
    return pl.select(pl.coalesce(held, numbers)).to_series().alias(times.name)


def _first_line(exc: BaseException) -> str:
    return _shortened((str(exc) or type(exc).__name__).splitlines()[0])


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}…"

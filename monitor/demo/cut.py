"""Cut a recorded, labelled stream into what a deployment would have been given: training file, batches, late labels.

    python -m monitor.demo.cut STREAM.parquet OUT --label class --timestamp timestamp --batches 100

writes `OUT/training.parquet`, `OUT/incoming/batch-0001.parquet` … and `OUT/labels/batch-0001.parquet` ….
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from monitor.errors import ConfigError, DataError, MonitorError

ROW_ID = "row_id"
TIMESTAMP = "timestamp"
AVAILABLE_AT = "available_at"

_UTC = pa.timestamp("us", tz="UTC")
_FIRST_HOUR = np.datetime64("2020-01-01T00:00", "us")  # where the clock of a stream without one starts


@dataclass(frozen=True, slots=True)
class CutStream:
    """Where the pieces lie. `incoming` and `labels` are globs, as `batches.path` and `labels.path` take them."""

    training: Path
    incoming: str
    labels: str
    batches: int


def cut_stream(
    stream: Path,
    out: Path,
    *,
    label: str,
    timestamp: str | None = None,
    drop: Sequence[str] = (),
    first: float = 0.2,
    batches: int = 100,
    labels_late: int = 1,
) -> CutStream:
    """Write the first share of the rows, labelled, for training, and the rest as `batches` files of equal size ± 1 row.

    Rows are put in order of time and numbered in the column `row_id` (text). Times without zone are taken as UTC; a
    stream without `timestamp` is given one row per hour from 2020 on. `drop` names columns to leave out. The labels of
    a batch are in a file of the same name, `available_at` the last time of the batch `labels_late` batches later; past
    the end of the stream the clock goes on by one batch length a batch.

    Raises
    ------
    DataError
        If a named column is not there, a time is missing, or there are fewer rows than batches.
    ConfigError
        If `out` already holds batches or labels: a monitor that has seen them would take new ones for replacements.
    """
    if not 0 < first < 1 or batches < 1 or labels_late < 0:
        raise ConfigError(f"cannot cut with first={first}, batches={batches}, labels_late={labels_late}")
    rows = _prepare(stream, label, timestamp, drop)
    clock = timestamp or TIMESTAMP
    cut = int(rows.num_rows * first)
    edges = [cut + int(piece[0]) for piece in np.array_split(np.arange(rows.num_rows - cut), batches) if piece.size]
    if len(edges) < batches or cut == 0:
        raise DataError(f"{rows.num_rows} rows are too few for a training file and {batches} batches", file=str(stream))
    pieces = [rows.slice(a, b - a) for a, b in zip(edges, [*edges[1:], rows.num_rows], strict=True)]
    ends: list[datetime] = [piece[clock][-1].as_py() for piece in pieces]
    ends.extend([ends[-1] + k * (ends[-1] - pieces[-1][clock][0].as_py()) for k in range(1, labels_late + 1)])

    incoming, labels = _empty(out / "incoming"), _empty(out / "labels")
    pq.write_table(rows.slice(0, cut), out / "training.parquet")
    for number, piece in enumerate(pieces):
        name = f"batch-{number + 1:04d}.parquet"
        pq.write_table(piece.drop_columns([label]), incoming / name)
        known = pa.array([ends[number + labels_late]] * piece.num_rows, _UTC)
        pq.write_table(piece.select([ROW_ID, label]).append_column(AVAILABLE_AT, known), labels / name)
    return CutStream(out / "training.parquet", str(incoming / "*.parquet"), str(labels / "*.parquet"), batches)


def _prepare(stream: Path, label: str, timestamp: str | None, drop: Sequence[str]) -> pa.Table:
    """Number the rows, give them a UTC clock and put them in its order: row id, time, features, label."""
    try:
        rows = pq.read_table(stream)
    except (OSError, pa.ArrowInvalid) as exc:
        raise DataError(f"cannot be read: {exc}", file=str(stream)) from exc
    for name in (label, *drop, *([timestamp] if timestamp else [])):
        if name not in rows.column_names:
            raise DataError(f"there is no such column; found {rows.column_names}", file=str(stream), column=name)
    rows = rows.drop_columns(list(drop))
    if timestamp is None:
        hours = _FIRST_HOUR + np.arange(rows.num_rows) * np.timedelta64(1, "h")
        times, timestamp = pa.chunked_array([pa.array(hours).cast(_UTC)]), TIMESTAMP
    else:
        times, rows = _utc(rows[timestamp], stream, timestamp), rows.drop_columns([timestamp])
    for name in {ROW_ID, timestamp, AVAILABLE_AT} & set(rows.column_names):
        raise DataError("the stream already has a column of this name; drop it", file=str(stream), column=name)
    rows = rows.take(pc.sort_indices(times))
    ids = pa.array([str(number) for number in range(rows.num_rows)])
    features = [name for name in rows.column_names if name != label]
    return pa.table(
        {
            ROW_ID: ids,
            timestamp: times.take(pc.sort_indices(times)),
            **{name: rows[name] for name in features},
            label: rows[label],
        }
    )


def _utc(times: Any, stream: Path, column: str) -> Any:
    if not pa.types.is_timestamp(times.type):
        raise DataError(f"holds {times.type}, not timestamps", file=str(stream), column=column)
    if times.null_count:
        row = pc.index(pc.is_null(times), True).as_py()
        raise DataError("the time is missing", file=str(stream), column=column, row=row + 1)
    return times.cast(_UTC) if times.type.tz else pc.assume_timezone(times, "UTC").cast(_UTC)


def _empty(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; choose another folder, or remove it first")
    return folder


def _command(  # noqa: PLR0917 - typer reads the options off the signature
    stream: Annotated[Path, typer.Argument(help="Parquet file with the recorded rows.")],
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    label: Annotated[str, typer.Option(help="Column to be predicted.")],
    timestamp: Annotated[str | None, typer.Option(help="Column with the time; without it, one row an hour.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out; may be given again.")] = None,
    first: Annotated[float, typer.Option(help="Share of the rows to train the first model on.")] = 0.2,
    batches: Annotated[int, typer.Option(help="Number of files for the rest.")] = 100,
    labels_late: Annotated[int, typer.Option(help="Labels come at the end of so many batches later.")] = 1,
) -> None:
    """Cut a recorded stream into training file, batches and labels."""
    try:
        cut = cut_stream(
            stream, out, label=label, timestamp=timestamp, drop=drop or [], first=first, batches=batches,
            labels_late=labels_late,
        )  # fmt: skip
    except MonitorError as exc:
        typer.echo(str(exc), err=True)
        raise typer.Exit(exc.exit_code) from None
    typer.echo(f"{cut.training}\n{cut.incoming} ({cut.batches} files)\n{cut.labels}")


if __name__ == "__main__":
    typer.run(_command)

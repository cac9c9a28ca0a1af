"""Parquet files with facts about themselves in the footer, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.adapters.atomic_files import write_atomically
from monitor.errors import StoreError

_FACTS = b"monitor"
_VALUES_AT_A_TIME = 16_384  # of a column; with Arrow's 1,024 writing takes a tenth longer
_WORTH_THREADS_ROWS = 20_000  # below, handing columns to threads takes longer than reading them


def write_parquet(path: Path, table: pa.Table, facts: Mapping[str, Any]) -> None:
    """Write durably; `facts` are plain JSON values. Raises StoreError naming the path."""
    described = table.replace_schema_metadata({_FACTS: json.dumps(dict(facts))})
    # LZ4, and no search for repeated numbers: a quarter of the time of Zstandard with it, and hardly larger
    repeating = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    # smallest and largest of times alone: of every column they took a tenth of the time, and nobody reads them
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]

    def write(file: IO[bytes]) -> None:
        pq.write_table(
            described,
            file,
            compression="lz4",
            use_dictionary=repeating,
            write_statistics=times,
            write_batch_size=_VALUES_AT_A_TIME,
        )

    try:
        write_atomically(path, write)
    except pa.ArrowException as exc:
        raise StoreError(f"{path}: cannot be written: {exc}") from exc


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Raises StoreError naming the path when it is gone or damaged."""
    with _opened(path) as file:
        return _read(file, columns).replace_schema_metadata(None)


def read_facts(path: Path) -> dict[str, Any]:
    """What was given to `write_parquet`; reads the footer only."""
    with _opened(path) as file:
        return _facts(path, file)


def read_with_facts(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Both of the above, opening the file once."""
    with _opened(path) as file:
        return _read(file, None).replace_schema_metadata(None), _facts(path, file)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as exc:
        raise StoreError(f"{path}: cannot be read: {exc}") from exc


def _read(file: pq.ParquetFile, columns: Sequence[str] | None) -> pa.Table:
    wanted = None if columns is None else list(columns)
    return file.read(columns=wanted, use_threads=file.metadata.num_rows > _WORTH_THREADS_ROWS)


def _facts(path: Path, file: pq.ParquetFile) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[_FACTS])
        return facts
    except (KeyError, ValueError) as exc:
        raise StoreError(f"{path}: not a file of ours: its footer does not say what it holds") from exc


def parquet_files(folder: Path, pattern: str = "*.parquet") -> list[Path]:
    """Finished files, in order of their names; files that are still being written are hidden and left out."""
    try:
        return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
    except OSError as exc:
        raise StoreError(f"{folder}: cannot be listed: {exc.strerror}") from exc

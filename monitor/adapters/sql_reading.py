"""Rows of a query as Arrow, read in pieces with a cursor of the server's, by a connection that cannot write."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from monitor.adapters.database_urls import DatabaseUrl, read_url
from monitor.domain.batch import Window
from monitor.domain.private import WITHHELD
from monitor.errors import ConfigError, SourceError

_PIECE_ROWS = 10_000
_CONNECT_SECONDS = 5
_SQLITE_TIME = "%Y-%m-%d %H:%M:%S"  # as SQLite's own functions write it, in UTC


class Database:
    """One database that batches or labels are read from; `key` is the section that configures it.

    What it says of a query that fails is withheld when there are `private` columns: it may quote a value.
    """

    def __init__(self, url: str, *, key: str, project: Path, timeout: timedelta, private: bool = False) -> None:
        self._private = private
        self._key, self._url = key, _at(read_url(url, f"{key}.url"), project)
        self._sqlite = self._url.url.get_backend_name() == "sqlite"
        self._engine = self._open(timeout)

    def counts(self, query: str, windows: Sequence[Window]) -> list[int]:
        """Rows of each window."""
        counted = text(f"SELECT count(*) FROM ({_bare(query)}) AS rows_of_a_window")
        with self._connected() as connection:
            return [connection.execute(counted, self._bound(window)).scalar_one() for window in windows]

    def rows(self, query: str, window: Window, *, order: str) -> bytes:
        """As an Arrow stream, sorted by the column `order`, where there is one: the same rows give the same bytes."""
        with self._connected() as connection:
            result = connection.execute(text(_bare(query)), self._bound(window))
            names = list(result.keys())
            values: list[list[Any]] = [[] for _ in names]
            for piece in result.partitions(_PIECE_ROWS):
                for column, found in zip(values, zip(*piece, strict=True), strict=True):
                    column.extend(map(_plain, found))
        table = pa.Table.from_arrays([_column(found) for found in values], names=names)
        if names.count(order) == 1 and table.num_rows:
            keys = pa.array([str(value) for value in table.column(order).to_pylist()])
            table = table.take(pc.sort_indices(keys))
        out = io.BytesIO()
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        return out.getvalue()

    def _bound(self, window: Window) -> Mapping[str, Any]:
        moments = {"start": window.start.astimezone(UTC), "end": window.end.astimezone(UTC)}
        return {name: at.strftime(_SQLITE_TIME) for name, at in moments.items()} if self._sqlite else moments

    def _open(self, timeout: timedelta) -> Engine:
        seconds = int(timeout.total_seconds())
        arguments: dict[str, Any] = {"timeout": _CONNECT_SECONDS}
        if self._url.url.get_backend_name() == "postgresql":
            options = f"-c statement_timeout={seconds}s -c default_transaction_read_only=on"
            arguments = {"connect_timeout": _CONNECT_SECONDS, "options": options}
        elif not self._sqlite:
            arguments = {}
        try:
            # no pool: nothing is left open on somebody's server between two passes
            engine = create_engine(self._url.url, poolclass=NullPool, connect_args=arguments)
        except (NoSuchModuleError, ModuleNotFoundError) as exc:
            raise ConfigError(f"{self._key}.url: {self._url.hide(str(exc))}") from None
        if self._sqlite:
            event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON").close())
        return engine

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(stream_results=True) as connection:
                yield connection
        except DBAPIError as exc:  # its own text would repeat the statement
            raise self._failed(exc.orig or exc) from None
        except SQLAlchemyError as exc:
            raise self._failed(exc) from None

    def _failed(self, exc: BaseException) -> SourceError:
        unreachable = type(exc).__name__ == "OperationalError"  # of every driver; no value is in that yet
        said = str(exc).strip() if unreachable or not self._private else f"{type(exc).__name__}, {WITHHELD}"
        return SourceError(f"{self._key}: {self._url.shown}: {self._url.hide(said)}")


def _bare(query: str) -> str:
    return query.rstrip().rstrip(";")


def _at(url: DatabaseUrl, project: Path) -> DatabaseUrl:
    """A path of SQLite's is relative to the project, like every other one."""
    database = url.url.database
    if url.url.get_backend_name() != "sqlite":
        return url
    file = project / (database or "")
    if not file.is_file():
        raise SourceError(f"{url.shown}: no such file")
    return DatabaseUrl(url.url.set(database=str(file)), url.shown, url.secrets)


def _plain(value: Any) -> Any:
    """What a file could have held: decimals as floats, identifiers and documents as text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return json.dumps(value) if isinstance(value, dict) else value


def _column(values: Sequence[Any]) -> pa.Array:
    """Of one type if they are; SQLite's columns may hold anything, which then is text as it would be in a CSV."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())

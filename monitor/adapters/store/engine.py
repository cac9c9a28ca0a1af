"""Where the two databases differ: how they are opened, begun, locked and told to insert or update."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoSuchModuleError

from monitor.adapters.database_urls import DatabaseUrl, read_url
from monitor.errors import ConfigError, StoreError

_WRITES = "monitor_writes"
_BUSY_SECONDS = 5
_MIGRATION_LOCK = 0x6D6F6E69  # any number that is ours: PostgreSQL's advisory locks are numbered

# Both take `on_conflict_do_update`; SQLAlchemy has no common name for them.
INSERT: Mapping[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def parse_url(configured: str) -> DatabaseUrl:
    """Raises ConfigError for anything but SQLite and PostgreSQL."""
    found = read_url(configured, "store")
    if (kind := found.url.get_backend_name()) not in INSERT:
        raise ConfigError(f"store: {kind!r} is not supported; use sqlite or postgresql")
    return found


def is_there(url: URL) -> bool:
    """False for an SQLite file that opening would make; whether a server answers is not asked."""
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).is_file()


def open_engine(url: URL) -> Engine:
    """Return an engine; nothing is connected yet, only the folder of an SQLite file is made."""
    try:
        return _open_sqlite(url) if url.get_backend_name() == "sqlite" else _open_postgresql(url)
    except NoSuchModuleError:
        raise ConfigError(f"store: unknown driver {url.drivername!r}") from None
    except ModuleNotFoundError as exc:
        raise ConfigError(f"store: {url.get_backend_name()} needs the Python package {exc.name!r}") from None


def writing(engine: Engine) -> Engine:
    """Return a view of `engine` whose transactions write."""
    return engine.execution_options(**{_WRITES: True})


def lock_schema(connection: Connection) -> None:
    """Let one process migrate at a time. SQLite's writing transactions exclude each other anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})


def _open_sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise ConfigError("store: a database in memory would be lost and not shared between threads; name a file")
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreError(f"{folder}: cannot be made: {exc.strerror}") from exc
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _open_postgresql(url: URL) -> Engine:
    options = f"-c lock_timeout={_BUSY_SECONDS}s"
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _BUSY_SECONDS, "options": options})


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver would begin by itself, late and deferred: `_begin_sqlite` does it
    for pragma in (
        f"busy_timeout = {_BUSY_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = NORMAL",  # a power cut may lose the last transactions, never part of one
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that first reads and then writes fails at once when another one wrote in between.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

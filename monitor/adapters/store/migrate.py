"""Brings a database to the schema of this code, or refuses one that is newer."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from monitor.adapters.store.engine import lock_schema
from monitor.adapters.store.tables import SCHEMA_REVISION
from monitor.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(reader: Engine, writer: Engine) -> None:
    """Run the missing migrations in one transaction; does nothing, and imports nothing, when there are none."""
    with reader.connect() as connection:
        if _revision(connection) == SCHEMA_REVISION:
            return
    with writer.begin() as connection:
        lock_schema(connection)
        revision = _revision(connection)  # another process may have migrated meanwhile
        if revision is not None and not (MIGRATIONS / "versions" / f"revision_{revision}.py").exists():
            raise StoreError(
                f"{writer.url.render_as_string(hide_password=True)}: the database has schema {revision}, "
                f"which this version of Driftloop does not know "
                f"(it knows {SCHEMA_REVISION}): it was used by a newer one; install that again, or restore a backup"
            )
        _upgrade(connection)


def has_tables(reader: Engine) -> bool:
    """False for a database that holds nothing yet. Raises StoreError when its schema is not that of this code."""
    with reader.connect() as connection:
        revision = _revision(connection)
    if revision not in (None, SCHEMA_REVISION):
        name = reader.url.render_as_string(hide_password=True)
        raise StoreError(f"{name}: the database has schema {revision}, this version of Driftloop {SCHEMA_REVISION}")
    return revision is not None


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command  # takes a while, and is not needed from the second start on
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

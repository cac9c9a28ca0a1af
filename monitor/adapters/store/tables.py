"""The tables as the present code reads them; `migrations/` makes them. A test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from monitor.domain.batch import aware

SCHEMA_REVISION = "0002"  # the newest of `migrations/versions`

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in INTEGER columns


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes, stored and returned in UTC. A naive one is a ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else aware(value).astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

ledger = Table(
    "ledger",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("deployment", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("locator", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("window_start", UtcDateTime),
    Column("window_end", UtcDateTime),
    Column("owner", Text),  # of the claim
    Column("until", UtcDateTime),
    UniqueConstraint("deployment", "kind", "locator", "fingerprint", name="uq_ledger_delivery"),
    CheckConstraint("(window_start IS NULL) = (window_end IS NULL)", name="ck_ledger_window"),
)
for _column in (ledger.c.fingerprint, ledger.c.name):
    Index(f"ix_ledger_{_column.name}", ledger.c.deployment, ledger.c.kind, _column)

records = Table(
    "records",
    metadata,
    Column("id", _NUMBER, primary_key=True),  # the place in the history
    Column("deployment", Text, nullable=False),
    Column("batch", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    UniqueConstraint("deployment", "batch", name="uq_records_batch"),
)
Index("ix_records_history", records.c.deployment, records.c.id)

measures = Table(
    "measures",
    metadata,
    Column("deployment", Text, primary_key=True),
    Column("batch", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # zlib of JSON
)

states = Table(
    "states",
    metadata,
    Column("deployment", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("deployment", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
)
Index("ix_events_journal", events.c.deployment, events.c.event, events.c.id)

versions = Table(
    "versions",
    metadata,
    Column("deployment", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("manifest", Text, nullable=False),  # JSON
)

aliases = Table(
    "aliases",
    metadata,
    Column("deployment", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("version", Integer),
    ForeignKeyConstraint(
        ["deployment", "version"], ["versions.deployment", "versions.version"], name="fk_aliases_version"
    ),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    Column("deployment", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("version", Integer),
    Column("previous", Integer),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
)
Index("ix_alias_moves_history", alias_moves.c.deployment, alias_moves.c.alias, alias_moves.c.id)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

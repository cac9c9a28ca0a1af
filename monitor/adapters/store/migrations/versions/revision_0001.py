"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_ledger()
    _create_history()
    _create_versions()
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("until", _TIME, nullable=False),
    )


def _create_ledger() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", _NUMBER, primary_key=True),
        *(_text(name) for name in ("deployment", "kind", "locator", "fingerprint", "name")),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("modified", _TIME, nullable=False),
        _text("state"),
        _text("reason"),
        sa.Column("window_start", _TIME),
        sa.Column("window_end", _TIME),
        sa.Column("owner", sa.Text),
        sa.Column("until", _TIME),
        sa.UniqueConstraint("deployment", "kind", "locator", "fingerprint", name="uq_ledger_delivery"),
        sa.CheckConstraint("(window_start IS NULL) = (window_end IS NULL)", name="ck_ledger_window"),
    )


def _create_history() -> None:
    op.create_table(
        "records",
        sa.Column("id", _NUMBER, primary_key=True),
        *(_text(name) for name in ("deployment", "batch", "body")),
        sa.UniqueConstraint("deployment", "batch", name="uq_records_batch"),
    )
    op.create_index("ix_records_history", "records", ["deployment", "id"])
    for table, key in (("measures", "batch"), ("states", "key")):
        op.create_table(
            table,
            sa.Column("deployment", sa.Text, primary_key=True),
            sa.Column(key, sa.Text, primary_key=True),
            sa.Column("body", sa.LargeBinary, nullable=False),
        )
    op.create_table(
        "events",
        sa.Column("id", _NUMBER, primary_key=True),
        _text("deployment"),
        sa.Column("at", _TIME, nullable=False),
        _text("event"),
        _text("body"),
    )
    op.create_index("ix_events_journal", "events", ["deployment", "event", "id"])


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("deployment", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        _text("manifest"),
    )
    op.create_table(
        "aliases",
        sa.Column("deployment", sa.Text, primary_key=True),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer),
        sa.ForeignKeyConstraint(
            ["deployment", "version"], ["versions.deployment", "versions.version"], name="fk_aliases_version"
        ),
    )
    op.create_table(
        "alias_moves",
        sa.Column("id", _NUMBER, primary_key=True),
        _text("deployment"),
        _text("alias"),
        sa.Column("version", sa.Integer),
        sa.Column("previous", sa.Integer),
        sa.Column("at", _TIME, nullable=False),
        _text("reason"),
    )
    op.create_index("ix_alias_moves_history", "alias_moves", ["deployment", "alias", "id"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)

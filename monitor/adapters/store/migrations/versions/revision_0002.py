"""The ledger is asked by content and by name."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for column in ("fingerprint", "name"):
        op.create_index(f"ix_ledger_{column}", "ledger", ["deployment", "kind", column])

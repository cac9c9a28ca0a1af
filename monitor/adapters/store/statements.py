"""What every pass asks the database, made once: to build such a statement takes longer than to run it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Executable, Select, Table, and_, bindparam, delete, insert, or_, select, update

from monitor.adapters.store.engine import INSERT
from monitor.adapters.store.tables import aliases, events, leases, ledger, records, states
from monitor.domain.batch import DeliveryState

_OPEN = (DeliveryState.SEEN.value, DeliveryState.CLAIMED.value)
_OF_KIND = and_(ledger.c.deployment == bindparam("deployment"), ledger.c.kind == bindparam("kind"))
_DELIVERY = ("deployment", "kind", "locator", "fingerprint")

ENTRIES = select(ledger).where(_OF_KIND, ledger.c.id > bindparam("after")).order_by(ledger.c.id)
CLAIM_FREE = (
    update(ledger)
    .where(
        ledger.c.id == bindparam("entry"),
        or_(
            ledger.c.state == DeliveryState.SEEN.value,
            and_(ledger.c.state == DeliveryState.CLAIMED.value, ledger.c.owner == bindparam("asker")),
        ),
    )
    .values(state=DeliveryState.CLAIMED.value, owner=bindparam("asker"), until=bindparam("until"))
)
FINISH = (
    update(ledger)
    .where(ledger.c.id == bindparam("entry"), ledger.c.state.in_(_OPEN))
    .values({name: bindparam(name) for name in ("state", "reason", "owner", "until")})
)
FINISH_WITH_WINDOW = FINISH.values({name: bindparam(name) for name in ("window_start", "window_end")})

HOLDER = select(leases.c.owner).where(leases.c.name == bindparam("lease")).with_for_update()
RELEASE = delete(leases).where(leases.c.name == bindparam("lease"), leases.c.owner == bindparam("holder"))

STATE = select(states.c.body).where(states.c.deployment == bindparam("deployment"), states.c.key == bindparam("name"))
ALIAS = select(aliases.c.version).where(
    aliases.c.deployment == bindparam("deployment"), aliases.c.alias == bindparam("name")
)
RECORD = select(records.c.body).where(
    records.c.deployment == bindparam("deployment"), records.c.batch == bindparam("name")
)
ADD_EVENT = insert(events)


@cache
def matching(*columns: str) -> Select[Any]:
    """Entries with the given value in any of these columns of the ledger."""
    alike = or_(*(ledger.c[name] == bindparam(name) for name in columns))
    return select(ledger).where(_OF_KIND, alike).order_by(ledger.c.id)


@cache
def see(dialect: str) -> Executable:
    """Insert a delivery, or take note of its size and time of change; returns the entry."""
    row = INSERT[dialect](ledger)
    fresh = {"size": row.excluded.size, "modified": row.excluded.modified}
    seen: Executable = row.on_conflict_do_update(index_elements=list(_DELIVERY), set_=fresh).returning(ledger)
    return seen


@cache
def take_free(dialect: str) -> Executable:
    """Insert a lease that nobody has; returns nothing when somebody does."""
    row = INSERT[dialect](leases)
    taken: Executable = row.on_conflict_do_nothing().returning(leases.c.name)
    return taken


@cache
def put(dialect: str, table: Table, key: str) -> Executable:
    """Insert or replace the body under deployment and `key`; the row keeps its number, and with it its place."""
    row = INSERT[dialect](table)
    written: Executable = row.on_conflict_do_update(
        index_elements=["deployment", key], set_={"body": row.excluded.body}
    )
    return written

"""`Transaction` on an open connection: the writes of one batch, in the order in which they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, null, select, update

from monitor.adapters.store.encoding import to_blob, to_json
from monitor.adapters.store.engine import INSERT
from monitor.adapters.store.tables import (
    alias_moves,
    aliases,
    events,
    leases,
    ledger,
    measures,
    records,
    states,
    versions,
)
from monitor.domain.batch import DeliveryState, Window, aware
from monitor.domain.version import AliasMove, Manifest
from monitor.errors import BusyError

_OPEN = (DeliveryState.SEEN, DeliveryState.CLAIMED)
_RESERVED = {"at", "event"}


class SqlTransaction:
    """Takes effect when the surrounding block ends, or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._insert = INSERT[connection.dialect.name]

    def guard(self, lease: str, *, owner: str) -> None:
        row = select(leases.c.owner).where(leases.c.name == lease).with_for_update()
        holder = self._connection.execute(row).scalar()
        if holder != owner:
            raise BusyError(f"lease {lease} was lost to {holder or 'nobody'}: what was begun under it is given up")

    def finish(self, entry_id: int, state: DeliveryState, *, reason: str = "", window: Window | None = None) -> None:
        values: dict[str, Any] = {"state": state.value, "reason": reason, "owner": None, "until": None}
        if window is not None:
            values |= {"window_start": window.start, "window_end": window.end}
        still_open = update(ledger).where(ledger.c.id == entry_id, ledger.c.state.in_(_OPEN))
        if self._connection.execute(still_open.values(values)).rowcount:
            return
        found = self._connection.execute(select(ledger.c.state).where(ledger.c.id == entry_id)).scalar()
        if found is None:
            raise LookupError(f"no ledger entry {entry_id}")
        raise BusyError(f"ledger entry {entry_id} is {found} already: another process finished it")

    def put_record(self, deployment: str, batch: str, record: Mapping[str, Any]) -> None:
        self._put(records, {"deployment": deployment, "batch": batch}, to_json(record))

    def put_measures(self, deployment: str, batch: str, measures_: Sequence[Mapping[str, Any]]) -> None:
        self._put(measures, {"deployment": deployment, "batch": batch}, to_blob(measures_))

    def put_state(self, deployment: str, key: str, body: bytes) -> None:
        self._put(states, {"deployment": deployment, "key": key}, body)

    def add_event(self, deployment: str, at: datetime, event: str, body: Mapping[str, Any]) -> None:
        if clash := _RESERVED & body.keys():
            raise ValueError(f"the body of event {event!r} must not hold {', '.join(sorted(clash))}")
        row = {"deployment": deployment, "at": aware(at), "event": event, "body": to_json(body)}
        self._connection.execute(insert(events), row)

    def add_version(self, manifest: Manifest) -> None:
        row = {"deployment": manifest.deployment, "version": manifest.version}
        self._connection.execute(insert(versions), row | {"manifest": to_json(manifest.to_dict())})

    def move_alias(self, deployment: str, move: AliasMove) -> None:
        if not self._swap_alias(deployment, move):
            raise BusyError(
                f"{deployment}: {move.alias} is not version {move.previous} any more: another process moved it"
            )
        self._connection.execute(
            insert(alias_moves),
            {
                "deployment": deployment,
                "alias": move.alias.value,
                "version": move.version,
                "previous": move.previous,
                "at": aware(move.at),
                "reason": move.reason,
            },
        )

    def _swap_alias(self, deployment: str, move: AliasMove) -> bool:
        """Point the alias to the new version if it still points to the previous one."""
        key = {"deployment": deployment, "alias": move.alias.value}
        if move.previous is None:
            statement = self._insert(aliases).values(**key, version=move.version)
            statement = statement.on_conflict_do_update(
                index_elements=list(key), set_={"version": move.version}, where=aliases.c.version.is_(null())
            )
        else:
            statement = update(aliases).values(version=move.version)
            statement = statement.where(*(aliases.c[name] == value for name, value in key.items()))
            statement = statement.where(aliases.c.version == move.previous)
        return self._connection.execute(statement.returning(aliases.c.alias)).first() is not None

    def _put(self, table: Table, key: Mapping[str, str], body: str | bytes) -> None:
        """Insert or replace; the row keeps its number, and with it its place."""
        statement = self._insert(table).values(**key, body=body)
        self._connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_={"body": body}))

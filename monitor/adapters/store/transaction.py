"""`Transaction` on an open connection: the writes of one batch, in the order in which they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, insert, null, select, update

from monitor.adapters.store.encoding import to_blob, to_json
from monitor.adapters.store.engine import INSERT
from monitor.adapters.store.statements import ADD_EVENT, FINISH, FINISH_WITH_WINDOW, HOLDER, put
from monitor.adapters.store.tables import alias_moves, aliases, ledger, measures, records, states, versions
from monitor.domain.batch import DeliveryState, Window, aware
from monitor.domain.version import AliasMove, Manifest
from monitor.errors import BusyError

_RESERVED = {"number", "at", "event"}


class SqlTransaction:
    """Takes effect when the surrounding block ends, or not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self.states: dict[tuple[str, str], bytes] = {}  # written by `flush`, with one statement
        self.moved = False

    def flush(self) -> None:
        """Write what was put off until the end of the block."""
        if self.states:
            rows = [{"deployment": name, "key": key, "body": body} for (name, key), body in self.states.items()]
            self._connection.execute(put(self._dialect, states, "key"), rows)

    def guard(self, lease: str, *, owner: str) -> None:
        holder = self._connection.execute(HOLDER, {"lease": lease}).scalar()
        if holder != owner:
            raise BusyError(f"lease {lease} was lost to {holder or 'nobody'}: what was begun under it is given up")

    def finish(self, entry_id: int, state: DeliveryState, *, reason: str = "", window: Window | None = None) -> None:
        values: dict[str, Any] = {
            "entry": entry_id,
            "state": state.value,
            "reason": reason,
            "owner": None,
            "until": None,
        }
        if window is not None:
            values |= {"window_start": window.start, "window_end": window.end}
        if self._connection.execute(FINISH if window is None else FINISH_WITH_WINDOW, values).rowcount:
            return
        found = self._connection.execute(select(ledger.c.state).where(ledger.c.id == entry_id)).scalar()
        if found is None:
            raise LookupError(f"no ledger entry {entry_id}")
        raise BusyError(f"ledger entry {entry_id} is {found} already: another process finished it")

    def put_record(self, deployment: str, batch: str, record: Mapping[str, Any]) -> None:
        self._put_batch(records, deployment, batch, to_json(record))

    def put_measures(self, deployment: str, batch: str, measures_: Sequence[Mapping[str, Any]]) -> None:
        self._put_batch(measures, deployment, batch, to_blob(measures_))

    def put_state(self, deployment: str, key: str, body: bytes) -> None:
        self.states[deployment, key] = bytes(body)

    def add_event(self, deployment: str, at: datetime, event: str, body: Mapping[str, Any]) -> None:
        if clash := _RESERVED & body.keys():
            raise ValueError(f"the body of event {event!r} must not hold {', '.join(sorted(clash))}")
        row = {"deployment": deployment, "at": aware(at), "event": event, "body": to_json(body)}
        self._connection.execute(ADD_EVENT, row)

    def add_version(self, manifest: Manifest) -> None:
        row = {"deployment": manifest.deployment, "version": manifest.version}
        self._connection.execute(insert(versions), row | {"manifest": to_json(manifest.to_dict())})

    def move_alias(self, deployment: str, move: AliasMove) -> None:
        self.moved = True
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
            statement = INSERT[self._dialect](aliases).values(**key, version=move.version)
            statement = statement.on_conflict_do_update(
                index_elements=list(key), set_={"version": move.version}, where=aliases.c.version.is_(null())
            )
        else:
            statement = update(aliases).values(version=move.version)
            statement = statement.where(*(aliases.c[name] == value for name, value in key.items()))
            statement = statement.where(aliases.c.version == move.previous)
        return self._connection.execute(statement.returning(aliases.c.alias)).first() is not None

    def _put_batch(self, table: Table, deployment: str, batch: str, body: str | bytes) -> None:
        row = {"deployment": deployment, "batch": batch, "body": body}
        self._connection.execute(put(self._dialect, table, "batch"), row)

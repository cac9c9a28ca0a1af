"""`Store` on SQLite or PostgreSQL."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from monitor.adapters.process_identity import is_alive
from monitor.adapters.store.encoding import from_blob, from_json
from monitor.adapters.store.engine import is_there, open_engine, parse_url, writing
from monitor.adapters.store.migrate import has_tables, migrate
from monitor.adapters.store.statements import (
    ALIAS,
    CLAIM_FREE,
    ENTRIES,
    RECORD,
    RELEASE,
    STATE,
    matching,
    see,
    take_free,
)
from monitor.adapters.store.tables import alias_moves, events, leases, ledger, measures, records, versions
from monitor.adapters.store.transaction import SqlTransaction
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, LedgerEntry, Window, aware
from monitor.domain.version import Alias, AliasMove, Manifest
from monitor.errors import StoreError

_WAITING = (DeliveryState.SEEN.value, DeliveryState.CLAIMED.value)
_COPIES = (DeliveryState.DUPLICATE.value, DeliveryState.REPLACED.value)


class SqlStore:
    """Opens the database, and makes or migrates its tables. Raises ConfigError for a URL that cannot be used.

    Reads inside a `transaction()` block see what was there before it. Writes outside of the block's own transaction
    wait for it: on SQLite, which has one writer at a time, such a call inside the block fails after five seconds.
    """

    def __init__(self, url: str, *, prepare: bool = True) -> None:
        """`prepare`: make or migrate the tables."""
        self._url = parse_url(url)
        self._name = self._url.shown
        self._reader = open_engine(self._url.url)
        self._writer = writing(self._reader)
        if prepare:
            with self._translated():
                migrate(self._reader, self._writer)

    @classmethod
    def as_it_is(cls, url: str) -> SqlStore | None:
        """The store for reading, with nothing made or migrated; None where there is none yet.

        Raises StoreError also for a database of another schema.
        """
        if not is_there(parse_url(url).url):
            return None
        store = cls(url, prepare=False)
        with store._translated():
            return store if has_tables(store._reader) else None

    def close(self) -> None:
        """Give back the connections; the next call opens new ones."""
        self._reader.dispose()

    def ping(self) -> None:
        with self._open(self._reader) as connection:
            connection.execute(text("SELECT 1"))

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        with self._open(self._writer) as connection:
            transaction = SqlTransaction(connection)
            yield transaction
            transaction.flush()

    # ledger

    def entries(self, deployment: str, kind: DeliveryKind, *, after: int = 0) -> Sequence[LedgerEntry]:
        asked = {"deployment": deployment, "kind": kind.value, "after": after}
        return [_entry(row) for row in self._all(ENTRIES, asked)]

    def latest_entries(
        self, deployment: str, kind: DeliveryKind, *, last: int, before: int | None = None
    ) -> Sequence[LedgerEntry]:
        wanted = select(ledger).where(ledger.c.deployment == deployment, ledger.c.kind == kind.value)
        return [_entry(row) for row in self._newest(ledger, wanted, last, before)]

    def matching(
        self, deployment: str, kind: DeliveryKind, *, locator: str = "", fingerprint: str = "", name: str = ""
    ) -> Sequence[LedgerEntry]:
        given = {"locator": locator, "fingerprint": fingerprint, "name": name}
        asked = {column: value for column, value in given.items() if value}
        found = self._all(matching(*asked), {"deployment": deployment, "kind": kind.value, **asked})
        return [_entry(row) for row in found]

    def count_waiting(self, deployment: str, kind: DeliveryKind) -> int:
        of_kind = (ledger.c.deployment == deployment) & (ledger.c.kind == kind.value)
        waiting = select(func.count()).select_from(ledger).where(of_kind, ledger.c.state.in_(_WAITING))
        return int(self._scalar(waiting))

    def arrivals(self, deployment: str, kind: DeliveryKind, *, last: int) -> list[datetime]:
        of_kind = (ledger.c.deployment == deployment) & (ledger.c.kind == kind.value)
        rows = select(ledger.c.modified).where(of_kind, ledger.c.state.not_in(_COPIES))
        return [row.modified for row in self._all(rows.order_by(ledger.c.id.desc()).limit(last))]

    def see(self, deployment: str, kind: DeliveryKind, delivery: Delivery, fingerprint: str) -> LedgerEntry:
        row = {
            "deployment": deployment,
            "kind": kind.value,
            "locator": delivery.locator,
            "fingerprint": fingerprint,
            "name": delivery.name,
            "size": delivery.size,
            "modified": delivery.modified,
            "state": DeliveryState.SEEN.value,
            "reason": "",
        }
        with self._open(self._writer) as connection:
            return _entry(connection.execute(see(connection.dialect.name), row).one())

    def claim(self, entry_id: int, *, owner: str, until: datetime) -> bool:
        aware(until)
        with self._open(self._writer) as connection:
            if connection.execute(CLAIM_FREE, {"entry": entry_id, "asker": owner, "until": until}).rowcount:
                return True
            columns = select(ledger.c.state, ledger.c.owner, ledger.c.until)
            row = connection.execute(columns.where(ledger.c.id == entry_id).with_for_update()).one_or_none()
            if row is None:
                raise LookupError(f"no ledger entry {entry_id}")
            if row.state != DeliveryState.CLAIMED or _is_held(row.owner, row.until, asker=owner, now=datetime.now(UTC)):
                return False
            values = {"state": DeliveryState.CLAIMED.value, "owner": owner, "until": until}
            connection.execute(update(ledger).where(ledger.c.id == entry_id).values(values))
            return True

    # leases

    def acquire_lease(self, name: str, *, owner: str, now: datetime, until: datetime) -> str | None:
        aware(now)
        aware(until)
        with self._open(self._writer) as connection:
            row = {"name": name, "owner": owner, "until": until}
            if connection.execute(take_free(connection.dialect.name), row).first() is not None:
                return None
            known = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one_or_none()
            if known is None:  # released between the two statements, by another process
                connection.execute(insert(leases), row)
                return None
            if _is_held(known.owner, known.until, asker=owner, now=now):
                return str(known.owner)
            connection.execute(update(leases).where(leases.c.name == name).values(owner=owner, until=until))
            return None

    def release_lease(self, name: str, *, owner: str) -> None:
        with self._open(self._writer) as connection:
            connection.execute(RELEASE, {"lease": name, "holder": owner})

    def lease_holder(self, name: str, *, now: datetime) -> str | None:
        found = self._all(select(leases).where(leases.c.name == name))
        held = [str(row.owner) for row in found if _is_held(row.owner, row.until, asker="", now=aware(now))]
        return held[0] if held else None

    # history

    def records(self, deployment: str, *, last: int | None = None, before: str | None = None) -> list[dict[str, Any]]:
        wanted = select(records).where(records.c.deployment == deployment)
        if before is not None:
            place = select(records.c.id).where(records.c.deployment == deployment, records.c.batch == before)
            wanted = wanted.where(records.c.id < place.scalar_subquery())
        rows = self._newest(records, wanted, last)
        return [self._decoded(row.body) for row in rows]

    def record(self, deployment: str, batch: str) -> dict[str, Any] | None:
        found = self._scalar(RECORD, {"deployment": deployment, "name": batch})
        return None if found is None else self._decoded(found)

    def measures(self, deployment: str, batch: str) -> list[dict[str, Any]]:
        """Empty when none were stored."""
        found = self._scalar(
            select(measures.c.body).where(measures.c.deployment == deployment, measures.c.batch == batch)
        )
        return [] if found is None else self._decoded(found)

    def events(
        self, deployment: str, *, event: str | None = None, last: int | None = None, before: int | None = None
    ) -> list[dict[str, Any]]:
        wanted = select(events).where(events.c.deployment == deployment)
        if event is not None:
            wanted = wanted.where(events.c.event == event)
        rows = self._newest(events, wanted, last, before)
        heads = ({"number": row.id, "at": row.at.isoformat(), "event": row.event} for row in rows)
        return [{**head, **self._decoded(row.body)} for head, row in zip(heads, rows, strict=True)]

    def count_records(self, deployment: str) -> int:
        return int(self._scalar(select(func.count()).select_from(records).where(records.c.deployment == deployment)))

    def state(self, deployment: str, key: str) -> bytes | None:
        found = self._scalar(STATE, {"deployment": deployment, "name": key})
        return None if found is None else bytes(found)

    # versions

    def manifests(self, deployment: str) -> list[Manifest]:
        rows = self._all(
            select(versions.c.manifest).where(versions.c.deployment == deployment).order_by(versions.c.version)
        )
        return [Manifest.from_dict(self._decoded(row.manifest)) for row in rows]

    def manifest(self, deployment: str, version: int) -> Manifest | None:
        found = self._scalar(
            select(versions.c.manifest).where(versions.c.deployment == deployment, versions.c.version == version)
        )
        return None if found is None else Manifest.from_dict(self._decoded(found))

    def next_version(self, deployment: str) -> int:
        """Count from 1. Not reserved: the lease keeps two processes from taking the same."""
        return int(
            self._scalar(
                select(func.coalesce(func.max(versions.c.version), 0) + 1).where(versions.c.deployment == deployment)
            )
        )

    def alias(self, deployment: str, alias: Alias) -> int | None:
        found = self._scalar(ALIAS, {"deployment": deployment, "name": alias.value})
        return None if found is None else int(found)

    def alias_history(self, deployment: str, alias: Alias) -> list[AliasMove]:
        moves = select(alias_moves).where(alias_moves.c.deployment == deployment, alias_moves.c.alias == alias.value)
        return [
            AliasMove(alias=alias, version=row.version, previous=row.previous, at=row.at, reason=row.reason)
            for row in self._all(moves.order_by(alias_moves.c.id))
        ]

    # connections

    def _newest(self, table: Table, rows: Select[Any], last: int | None, before: int | None = None) -> list[Row[Any]]:
        """Oldest first; of the newest `last` rows when that is given, of those with an id below `before`."""
        if before is not None:
            rows = rows.where(table.c.id < before)
        newest_first = rows.order_by(table.c.id.desc()).limit(last)
        return list(reversed(self._all(newest_first)))

    def _all(self, rows: Select[Any], asked: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        with self._open(self._reader) as connection:
            return connection.execute(rows, asked).all()

    def _scalar(self, rows: Select[Any], asked: Mapping[str, Any] | None = None) -> Any:
        with self._open(self._reader) as connection:
            return connection.execute(rows, asked).scalar()

    def _decoded(self, stored: str | bytes) -> Any:
        try:
            return from_json(stored) if isinstance(stored, str) else from_blob(bytes(stored))
        except (ValueError, zlib.error) as exc:
            raise StoreError(f"{self._name}: a stored value is damaged: {exc}") from exc

    @contextmanager
    def _open(self, engine: Engine) -> Iterator[Connection]:
        with self._translated(), engine.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as exc:  # its own text would repeat the statement with all its values
            raise StoreError(f"{self._name}: {self._url.hide(str(exc.orig).strip())}") from None
        except (SQLAlchemyError, UnicodeEncodeError) as exc:
            raise StoreError(f"{self._name}: {self._url.hide(str(exc))}") from None


def _is_held(holder: str, until: datetime, *, asker: str, now: datetime) -> bool:
    """Whether somebody else holds it: not run out, and not known to be dead."""
    return holder != asker and until > now and is_alive(holder)


def _entry(row: Row[Any]) -> LedgerEntry:
    window = None if row.window_start is None else Window(row.window_start, row.window_end)
    return LedgerEntry(
        id=row.id,
        deployment=row.deployment,
        kind=DeliveryKind(row.kind),
        locator=row.locator,
        fingerprint=row.fingerprint,
        name=row.name,
        size=row.size,
        modified=row.modified,
        state=DeliveryState(row.state),
        reason=row.reason,
        window=window,
    )

"""Windows of a table as deliveries, on SQLite and on a real PostgreSQL server, down to the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from sqlalchemy import Engine, create_engine, text

from monitor.adapters.database_urls import read_url
from monitor.adapters.sql_reading import Database
from monitor.adapters.sql_source import Ledger, SqlBatchSource
from monitor.bootstrap import Application, open_application
from monitor.config.deployment import Deployment
from monitor.config.sources import BatchesConfig
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, LedgerEntry, Window
from monitor.domain.schema import Schema
from monitor.errors import ConfigError, SourceError
from tests.support.postgresql import new_database
from tests.support.project import Project, make_rows
from tests.support.project import deployment as plain_deployment

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
QUERY = "SELECT row_id, at, a, b, colour FROM events WHERE at >= :start AND at < :end"
LABELS = "SELECT row_id, y FROM labels WHERE known_at >= :start AND known_at < :end"
SCHEMA = Schema(
    id="row_id", timestamp="at", timezone="UTC", features={"a": "numeric", "b": "numeric", "colour": "categorical"}
)
T0 = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "pass:w/rd&1"


@dataclass(slots=True)
class Table:
    """A database with events, and labels that become known an hour later."""

    url: str
    engine: Engine

    def add(self, rows: pa.Table) -> None:
        as_text = self.engine.dialect.name == "sqlite"
        with self.engine.begin() as connection:
            for row in rows.to_pylist():
                at, known = row["at"], row["at"] + HOUR
                if as_text:
                    at, known = at.strftime("%Y-%m-%d %H:%M:%S.%f"), known.strftime("%Y-%m-%d %H:%M:%S.%f")
                values = {**row, "at": at, "known_at": known}
                connection.execute(text("INSERT INTO events VALUES (:row_id, :at, :a, :b, :colour)"), values)
                connection.execute(text("INSERT INTO labels VALUES (:row_id, :y, :known_at)"), values)


@pytest.fixture(params=["sqlite", "postgresql"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Table]:
    if request.param == "postgresql":
        url = new_database(request.getfixturevalue("postgresql"), f"t{abs(hash(request.node.nodeid))}")
        moment, number = "timestamptz", "numeric(20, 12)"  # which the driver hands over as Decimal
    else:
        url, moment, number = f"sqlite:///{tmp_path}/events.db", "text", "real"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(f"CREATE TABLE events (row_id text, at {moment}, a {number}, b double precision, colour text)")
        )
        connection.execute(text(f"CREATE TABLE labels (row_id text, y text, known_at {moment})"))
    yield Table(url, engine)
    engine.dispose()


def rows(n: int, start: datetime, first_id: int) -> pa.Table:
    return make_rows(n, np.random.default_rng(first_id), start=start, first_id=first_id)


def source(
    table: Table, clock: Callable[[], datetime], ledger: Ledger = lambda after: (), **changes: Any
) -> SqlBatchSource:
    plain = {"source": "sql", "url": table.url, "query": QUERY, "window": "1h", "since": T0.isoformat(), **changes}
    return SqlBatchSource(BatchesConfig.model_validate(plain), SCHEMA, Path(), ledger, clock)


def test_a_window_is_a_delivery_once_the_watermark_has_passed(table: Table):
    table.add(rows(50, T0, 0))
    table.add(rows(30, T0 + HOUR, 100))
    now = [T0 + HOUR]
    found = source(table, lambda: now[0], lateness="10m")
    assert found.deliveries() == []
    now[0] += timedelta(minutes=10)
    (first,) = found.deliveries()
    assert first.name == "2026-03-01T000000Z"
    now[0] += HOUR
    _, second = found.deliveries()
    assert found.window(second).start == T0 + HOUR
    read = found.read(second, now=now[0])
    assert (read.rows.num_rows, read.rejected.num_rows) == (30, 0)
    assert sorted(read.rows["row_id"].to_pylist()) == sorted(f"r{100 + k}" for k in range(30))
    assert read.rows.schema.field("a").type == pa.float64()
    expected = dict(zip(*(rows(30, T0 + HOUR, 100)[name].to_pylist() for name in ("row_id", "a")), strict=True))
    got = dict(zip(read.rows["row_id"].to_pylist(), read.rows["a"].to_pylist(), strict=True))
    assert got == pytest.approx(expected, abs=1e-9)


def test_what_it_keeps_of_the_ledger_changes_no_delivery(table: Table):
    """One that has been asked all along, and one that reads the whole ledger each time."""
    rng, now, entries = np.random.default_rng(5), [T0 + 3 * HOUR], list[LedgerEntry]()

    def ledger(after: int) -> list[LedgerEntry]:
        return [entry for entry in entries if entry.id > after]

    kept = source(table, lambda: now[0], ledger)
    for _ in range(40):
        found = kept.deliveries()
        assert found == source(table, lambda: now[0], ledger).deliveries()
        for delivery in found:
            if delivery.locator not in {entry.locator for entry in entries}:
                entries.append(_seen(len(entries) + 1, delivery))
        for place in np.flatnonzero(rng.random(len(entries)) < 0.5):  # most are worked off soon, some later
            entries[place] = replace(entries[place], state=DeliveryState.DONE)
        now[0] += int(rng.integers(0, 4)) * HOUR
    assert len(entries) > 40


def _seen(id_: int, delivery: Delivery) -> LedgerEntry:
    return LedgerEntry(
        id=id_,
        deployment="tiny",
        kind=DeliveryKind.BATCH,
        locator=delivery.locator,
        fingerprint="",
        name=delivery.name,
        size=delivery.size,
        modified=delivery.modified,
        state=DeliveryState.SEEN,
    )


def test_the_same_rows_have_the_same_fingerprint_in_any_order_and_no_other_window_has_it(table: Table):
    found = source(table, lambda: T0 + 3 * HOUR)
    batch = rows(40, T0, 0)
    table.add(batch)
    first, empty, other = found.deliveries()
    before = found.fingerprint(first)
    with table.engine.begin() as connection:
        connection.execute(text("DELETE FROM events"))
    assert found.fingerprint(empty) != found.fingerprint(other)
    table.add(batch.take(list(reversed(range(40)))))
    assert found.fingerprint(first) == before
    table.add(rows(1, T0, 999))
    assert found.fingerprint(first) != before


def test_rows_that_come_between_fingerprint_and_reading_are_no_half_batch(table: Table):
    table.add(rows(10, T0, 0))
    found = source(table, lambda: T0 + HOUR)
    (delivery,) = found.deliveries()
    found.fingerprint(delivery)
    table.add(rows(1, T0, 500))
    with pytest.raises(SourceError, match="changed while they were read"):
        found.read(delivery, now=T0 + HOUR)


def test_a_query_cannot_write(table: Table):
    table.add(rows(5, T0, 0))
    query = "DELETE FROM events WHERE at >= :start AND at < :end RETURNING row_id, at, a, b, colour"
    found = source(table, lambda: T0 + HOUR, query=query)
    with pytest.raises(SourceError, match=r"read-?only|syntax error at or near .DELETE"):
        found.fingerprint(found.deliveries()[0])
    with table.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM events")).scalar_one() == 5


def test_rows_outside_of_their_window_are_refused(table: Table):
    table.add(rows(5, T0 + 2 * HOUR, 0))
    query = "SELECT * FROM events WHERE :start IS NOT NULL AND :end IS NOT NULL"
    if table.engine.dialect.name == "postgresql":
        query = "SELECT * FROM events WHERE :start < now() AND :end < now()"
    found = source(table, lambda: T0 + HOUR, query=query)
    read = found.read(found.deliveries()[0], now=T0 + 4 * HOUR)
    assert set(read.rejected["reason"].to_pylist()) == {"outside_window"}


@contextmanager
def application(table: Table, folder: Path, since: datetime) -> Iterator[Application]:
    common = {"source": "sql", "url": table.url, "window": "1h", "since": since.isoformat()}
    changes = {"retrain": {"mode": "off"}, "schema": {"timezone": "UTC"}}
    project = Project.create(folder, changes=changes)
    file = project.config / "deployments" / "tiny.yaml"
    sections = {"batches": {**common, "query": QUERY}, "labels": {**common, "query": LABELS, "delay": "1h"}}
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **sections}))
    with open_application(project.config) as app:
        yield app


def test_from_the_table_to_the_verdict_and_late_rows_are_told_and_not_counted(table: Table, tmp_path: Path):
    since = datetime.now(UTC).replace(microsecond=0) - 3 * HOUR - MINUTE  # the fourth window ends long after the test
    for hour in range(3):
        table.add(rows(60, since + hour * HOUR, 1000 * hour))
    with application(table, tmp_path / "project", since) as app:
        records = app.once()
        assert [(r.rows, r.quarantined) for r in records] == [(60, 0)] * 3
        assert [r.window.start for r in records] == [since + k * HOUR for k in range(3)]
        app.once()
        coverage = [r["performance"]["labels_coverage"] for r in app.store.records("tiny")]
        assert coverage[0] == 1.0
        table.add(rows(7, since, 9000))
        assert app.once() == []
        (told,) = app.store.events("tiny", event="batch_replaced")
        assert "was processed before with other content" in told["reason"]
        assert app.once() == []
        assert len(app.store.events("tiny", event="batch_replaced")) == 1
        assert app.store.record("tiny", records[0].batch)["rows"] == 60
        states = [e.state for e in app.store.entries("tiny", DeliveryKind.BATCH)]
        assert states == [DeliveryState.DONE] * 3 + [DeliveryState.REPLACED]


def test_a_password_is_from_the_environment_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    url = "postgresql://monitor:${SHOP_PASSWORD}@127.0.0.1:1/shop"
    plain = {"source": "sql", "url": url, "query": QUERY, "window": "1h", "since": T0.isoformat()}
    found = SqlBatchSource(BatchesConfig.model_validate(plain), SCHEMA, tmp_path, lambda after: (), lambda: T0 + HOUR)
    with pytest.raises(SourceError, match=r"\$\{SHOP_PASSWORD\}@127\.0\.0\.1") as caught:
        found.fingerprint(found.deliveries()[0])
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    monkeypatch.delenv("SHOP_PASSWORD")
    found = SqlBatchSource(BatchesConfig.model_validate(plain), SCHEMA, tmp_path, lambda after: (), lambda: T0 + HOUR)
    with pytest.raises(ConfigError, match=r"batches\.url: the environment variable SHOP_PASSWORD is not set"):
        found.fingerprint(found.deliveries()[0])


@pytest.mark.parametrize(
    "url",
    ["postgresql://${SHOP_USER}:a-literal-password@127.0.0.1:1/shop", "postgresql://h:1/shop?password=%21a-literal"],
)
def test_a_password_in_the_url_itself_is_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("SHOP_USER", "the-user")
    shown = read_url(url, "batches.url")
    assert "a-literal" not in shown.shown
    assert shown.hide(f"no access for {url}") == f"no access for {url}".replace("a-literal-password", "***").replace(
        "%21a-literal", "***"
    )


def test_what_a_database_says_of_private_values_is_withheld(postgresql: str, tmp_path: Path):
    query = "SELECT 'canary'::int AS a, :start < :end AS b"
    window = Window(T0, T0 + HOUR)
    for private in (False, True):
        database = Database(postgresql, key="batches", project=tmp_path, timeout=HOUR, private=private)
        with pytest.raises(SourceError) as caught:
            database.rows(query, window, order="")
        assert ("canary" in str(caught.value)) is not private
        assert "InvalidTextRepresentation" in str(caught.value) or not private


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ({"source": "sql", "url": "sqlite:///x.db"}, "needs `query`"),
        ({"source": "sql", "path": "in/*"}, "needs `url`"),
        ({"source": "files", "path": "in/*", "query": QUERY}, "`query` has no meaning"),
        ({"query": "SELECT 1 WHERE :start < 2", "window": "1h"}, "needs `path`"),
        ({"source": "push", "path": "in/*"}, "`path` has no meaning for source `push`"),
    ],
)
def test_what_a_source_needs(batches: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Deployment.model_validate({**plain_deployment(), "batches": batches})

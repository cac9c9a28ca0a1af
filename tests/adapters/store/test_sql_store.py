"""What is particular to the database: opening it, migrating it, and what goes wrong with it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from monitor.adapters.store.migrate import MIGRATIONS
from monitor.adapters.store.sql_store import SqlStore
from monitor.adapters.store.tables import SCHEMA_REVISION, metadata
from monitor.errors import ConfigError, StoreError
from tests.adapters.small_disk import fill, small_disk


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/monitor.db"


def put(store: SqlStore, key: str, size: int = 10) -> None:
    with store.transaction() as tx:
        tx.put_state("shop", key, bytes(size))


def test_it_makes_its_folder_and_outlives_the_process(tmp_path):
    put(SqlStore(url_of(tmp_path / "a" / "b")), "policy")
    assert SqlStore(url_of(tmp_path / "a" / "b")).state("shop", "policy") == bytes(10)


def test_the_migrations_end_in_the_tables_that_the_code_reads(tmp_path):
    SqlStore(url_of(tmp_path))
    with create_engine(url_of(tmp_path)).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_REVISION


def test_sqlite_is_set_up_for_several_readers_and_one_writer(tmp_path):
    SqlStore(url_of(tmp_path))
    with sqlite3.connect(tmp_path / "monitor.db") as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)
    database.close()


def test_a_reader_is_not_held_up_by_a_writer_and_sees_what_was_before(tmp_path):
    store = SqlStore(url_of(tmp_path))
    put(store, "policy", 1)
    with store.transaction() as tx:
        tx.put_state("shop", "policy", bytes(2))
        assert store.state("shop", "policy") == bytes(1)
    assert store.state("shop", "policy") == bytes(2)


def test_a_database_of_a_newer_version_is_refused_with_the_remedy(tmp_path):
    SqlStore(url_of(tmp_path))
    with sqlite3.connect(tmp_path / "monitor.db") as database:
        database.execute("update alembic_version set version_num = '0999'")
    database.close()
    with pytest.raises(
        StoreError, match=r"monitor\.db: .* schema 0999.*used by a newer one; install that again, or restore"
    ):
        SqlStore(url_of(tmp_path))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("monitor.db", "not a database URL"),
        ("mysql://a:secret@b/c", "'mysql' is not supported; use sqlite or postgresql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("postgresql+nothing://a:secret@b/c", "unknown driver 'postgresql[+]nothing'"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_configuration_error(url, message):
    with pytest.raises(ConfigError, match=message) as caught:
        SqlStore(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path):
    with pytest.raises(StoreError, match=r"postgresql\+psycopg://ann:\*\*\*@/monitor") as caught:
        SqlStore(f"postgresql://ann:secret@/monitor?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_what_is_no_database_is_named(tmp_path):
    (tmp_path / "monitor.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=rf"{tmp_path}/monitor\.db: file is not a database"):
        SqlStore(url_of(tmp_path))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=rf"{tmp_path}/file/a"):
        SqlStore(url_of(tmp_path / "file" / "a"))


def test_damaged_measures_are_an_error_and_not_an_empty_list(tmp_path):
    store = SqlStore(url_of(tmp_path))
    with store.transaction() as tx:
        tx.put_measures("shop", "a", [{"measure": "ks"}])
        tx.put_record("shop", "a", {})
    with sqlite3.connect(tmp_path / "monitor.db") as database:
        database.execute("update measures set body = x'00'")
        database.execute("update records set body = '{'")
    database.close()
    for read in (store.measures, store.record):
        with pytest.raises(StoreError, match=r"monitor\.db: a stored value is damaged"):
            read("shop", "a")


def test_a_lock_that_is_not_given_up_is_a_store_error(tmp_path):
    store = SqlStore(url_of(tmp_path))
    with sqlite3.connect(tmp_path / "monitor.db", isolation_level=None) as database:
        database.execute("begin immediate")
        with pytest.raises(StoreError, match="locked"):
            put(store, "policy")
        database.execute("rollback")
    database.close()
    put(store, "policy")


def test_on_a_full_disk_nothing_is_half_written_and_it_goes_on_when_there_is_space(tmp_path):
    with small_disk(tmp_path / "disk", 2048) as disk:
        store = SqlStore(url_of(disk))
        put(store, "before")
        ballast = fill(disk)
        with pytest.raises(StoreError, match=rf"{disk}/monitor\.db: .*(full|I/O)"), store.transaction() as tx:
            tx.add_event("shop", datetime(2024, 5, 1, tzinfo=UTC), "decision", {})
            tx.put_state("shop", "large", bytes(500_000))
        ballast.unlink()
        assert (store.events("shop"), store.state("shop", "large")) == ([], None)
        put(store, "large", 500_000)
        assert (len(store.state("shop", "large")), store.state("shop", "before")) == (500_000, bytes(10))
        store.close()

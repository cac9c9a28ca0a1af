"""Each contract runs on every implementation of its port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.adapters.collected_data import ParquetCollectedData
from monitor.adapters.store.sql_store import SqlStore
from monitor.app.ports import CollectedData, Store
from tests.contracts.fakes import FakeCollectedData, FakeStore

_BINARIES = Path("/usr/lib/postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a server of our own, in a temporary folder and without network."""
    binaries = sorted(_BINARIES.glob("*/bin/initdb"))
    if not binaries:
        _leave_out(f"no PostgreSQL server under {_BINARIES}")
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        _leave_out("the Python package psycopg is not installed")
    folder, user = Path(tempfile.mkdtemp(prefix="monitor-postgresql-")), None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
        shutil.chown(folder, user)
    control, data = binaries[-1].with_name("pg_ctl"), folder / "data"
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    try:
        _run(binaries[-1], "-D", data, "-U", "monitor", "-A", "trust", "-E", "UTF8", user=user)
        _run(control, "-D", data, "-w", "-l", folder / "log", "-o", options, "start", user=user)
        try:
            yield f"postgresql+psycopg://monitor@/postgres?host={folder}"
        finally:
            _run(control, "-D", data, "-m", "immediate", "stop", user=user)
    finally:
        shutil.rmtree(folder)


def _run(*command: object, user: str | None) -> None:
    done = subprocess.run(
        list(map(str, command)), check=False, user=user, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command} failed"


def _leave_out(reason: str) -> None:
    if os.environ.get("CI") == "true" and os.environ.get("MONITOR_REQUIRE_POSTGRES") == "1":
        pytest.fail(f"the PostgreSQL contract must run here, but {reason}")
    pytest.skip(f"left out: {reason}")


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "fake":
        yield FakeStore()
        return
    url = f"sqlite:///{tmp_path}/monitor.db"
    if request.param == "postgresql":
        url = _new_database(request.getfixturevalue("postgresql"), f"t{abs(hash(request.node.nodeid))}")
    opened = SqlStore(url)
    yield opened
    opened.close()


def _new_database(url: str, name: str) -> str:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["fake", "parquet"])
def collected(request: pytest.FixtureRequest, tmp_path: Path) -> CollectedData:
    return FakeCollectedData() if request.param == "fake" else ParquetCollectedData(tmp_path)

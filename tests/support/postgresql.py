"""A real PostgreSQL server for tests, in a temporary folder and without network."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.missing import missing

_DEBIAN_S = Path("/usr/lib/postgresql")  # off the PATH, one folder per version


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a server of our own, in a temporary folder and without network."""
    found, user = programs(), server_user()
    folder = Path(tempfile.mkdtemp(prefix="monitor-postgresql-"))
    if user is not None:
        shutil.chown(folder, user)
    control, data = found / "pg_ctl", folder / "data"
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    try:
        run_as(user, found / "initdb", "-D", data, "-U", "monitor", "-A", "trust", "-E", "UTF8")
        run_as(user, control, "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://monitor@/postgres?host={folder}"
        finally:
            run_as(user, control, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def server_user() -> str | None:
    """Who the server runs as, which refuses to be root's; None: the present user."""
    if os.geteuid() != 0:
        return None
    return "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"


def run_as(user: str | None, *command: object) -> None:
    done = subprocess.run(
        list(map(str, command)), check=False, user=user, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command} failed"


def programs() -> Path:
    """The folder with PostgreSQL's own programs. Without one the test is skipped; in CI that is a failure."""
    found = [Path(path) for path in (shutil.which("initdb"), *sorted(_DEBIAN_S.glob("*/bin/initdb"))) if path]
    if found:
        return found[-1].resolve().parent
    missing("PostgreSQL's server is not installed; `make test` installs it, or says how")


def new_database(url: str, name: str) -> str:
    """Make a database on the server at `url`; returns its URL."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/postgres?", f"/{name}?")

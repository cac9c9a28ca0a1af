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

_DEBIAN_S = Path("/usr/lib/postgresql")  # off the PATH, one folder per version


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a server of our own, in a temporary folder and without network."""
    programs = _programs()
    folder, user = Path(tempfile.mkdtemp(prefix="monitor-postgresql-")), None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
        shutil.chown(folder, user)
    control, data = programs / "pg_ctl", folder / "data"
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    try:
        _run(programs / "initdb", "-D", data, "-U", "monitor", "-A", "trust", "-E", "UTF8", user=user)
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


def _programs() -> Path:
    """The folder with PostgreSQL's own programs. Without one the test is skipped; in CI that is a failure."""
    found = [Path(path) for path in (shutil.which("initdb"), *sorted(_DEBIAN_S.glob("*/bin/initdb"))) if path]
    if found:
        return found[-1].resolve().parent
    missing = "PostgreSQL's server is not installed; `make test` installs it, or says how"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def new_database(url: str, name: str) -> str:
    """Make a database on the server at `url`; returns its URL."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/postgres?", f"/{name}?")

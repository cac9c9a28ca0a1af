"""A PostgreSQL server of our own that can be stopped, started and frozen."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.support.postgresql import new_database, programs, run_as, server_user


class Server:
    """In a temporary folder and without network; durable, for what it has told us to be written must be there."""

    def __enter__(self) -> Self:
        self._programs, self._user = programs(), server_user()
        self._folder = Path(tempfile.mkdtemp(prefix="endurance-postgresql-"))
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        initdb = (self._programs / "initdb", "-D", data, "-U", "monitor", "-A", "trust", "-E", "UTF8")
        run_as(self._user, *initdb)
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def database(self, name: str) -> str:
        """Make one; returns its URL."""
        return new_database(f"postgresql+psycopg://monitor@/postgres?host={self._folder}", name)

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self._folder}'"
        self._control("-w", "-l", self._folder / "log", "-o", options, "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stopped by SIGSTOP."""
        main = psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]))
        stopped = [main, *main.children(recursive=True)]
        for process in stopped:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in stopped:
                os.kill(process.pid, signal.SIGCONT)

    def _control(self, *arguments: object) -> None:
        run_as(self._user, self._programs / "pg_ctl", "-D", self._folder / "data", *arguments)

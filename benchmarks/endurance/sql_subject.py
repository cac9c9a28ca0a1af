"""A deployment whose batches are windows of a table in PostgreSQL, all of them filled beforehand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from benchmarks.endurance.postgres import Server
from benchmarks.endurance.process import until
from benchmarks.endurance.rig import SUBJECT, Rig
from tests.support.project import make_rows

_WINDOW = timedelta(seconds=2)
_ROWS = 50  # of each window
_WINDOWS = 600  # for twenty minutes
_QUERY = "SELECT row_id, at, a, b, colour FROM events WHERE at >= :start AND at < :end"


class SqlSubject:
    def __init__(self, server: Server) -> None:
        self.server = server
        self._url = server.database("source")
        self._plain = self._url.replace("+psycopg", "")
        self._since = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
        rows = make_rows(_ROWS * _WINDOWS, np.random.default_rng(3), start=self._since, first_id=0).to_pylist()
        with psycopg.connect(self._plain, autocommit=True) as connection:
            connection.execute("CREATE TABLE events (row_id text, at timestamptz, a float8, b float8, colour text)")
            with connection.cursor().copy("COPY events (row_id, at, a, b, colour) FROM STDIN") as copy:
                for k, row in enumerate(rows):
                    at = self._since + (k + 0.5) * _WINDOW / _ROWS
                    copy.write_row((row["row_id"], at, row["a"], row["b"], row["colour"]))

    @property
    def sections(self) -> dict[str, Any]:
        """Of the deployment's file."""
        return {
            "batches": {
                "source": "sql",
                "url": self._url,
                "query": _QUERY,
                "window": f"{_WINDOW.total_seconds():g}s",
                "since": self._since.isoformat(),
                "timeout": "2s",
            },
        }

    def await_window(self, one: Rig) -> None:
        """Until a window that ends after this moment is recorded."""
        now = datetime.now(UTC)
        until(lambda: (newest := self._newest(one)) is not None and newest > now, 90, "another window")

    def check(self, one: Rig) -> list[str]:
        """All windows up to the newest are there once and whole; returns their names."""
        records = one.records(SUBJECT)
        starts = [datetime.fromisoformat(record["window_start"]) for record in records]
        assert starts == [self._since + k * _WINDOW for k in range(len(starts))], "windows are missing, or there twice"
        assert {record["rows"] for record in records} == {_ROWS}
        return [record["batch"] for record in records]

    @contextmanager
    def locked(self, seconds: float | None) -> Iterator[None]:
        """Nobody reads the table for so long; None: until the block ends."""
        with psycopg.connect(self._plain) as connection:
            connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            timer = threading.Timer(seconds, connection.rollback) if seconds is not None else None
            if timer is not None:
                timer.start()
            yield
            if timer is not None:
                timer.join()
            connection.rollback()

    @staticmethod
    def _newest(one: Rig) -> datetime | None:
        records = one.records(SUBJECT)
        return datetime.fromisoformat(records[-1]["window_end"]) if records else None

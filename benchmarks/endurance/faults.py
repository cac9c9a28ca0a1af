"""What the world does to a daemon: clocks that jump, databases that are away, disks that fill, sources that fail."""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time
from zoneinfo import ZoneInfo

from benchmarks.endurance.postgres import Server
from benchmarks.endurance.process import until
from benchmarks.endurance.rig import BYSTANDER, RECOVERY_SECONDS, SUBJECT, Rig, rig
from benchmarks.endurance.sql_subject import SqlSubject

LIBFAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_HELD_SECONDS = 3.0  # a fault lasts at least so long
_BEFORE_SECONDS = 12.0  # set back so far before a change of the time: more than a quarter of `lease`
_LOCKED_SECONDS = 7.0  # more than SQLite waits

Seen = Callable[[Rig], bool]  # whether health and metrics tell of the fault


def fails(one: Rig) -> bool:
    return one.metric("monitor_pass_failed", SUBJECT) == 1.0


def hangs(one: Rig) -> bool:
    started = one.metric("monitor_pass_started_timestamp_seconds", SUBJECT)
    return started is not None and time() - started > _HELD_SECONDS / 2


def is_unready(one: Rig) -> bool:
    return one.metric("monitor_up") == 0.0 and one.page("/-/ready").startswith("not ready")


def trial(one: Rig, *, held: float = _HELD_SECONDS, seen: Seen | None, shared: bool, deliver: bool = True) -> None:
    """Inside of a fault: batches come, it is seen, and a deployment that it is not `shared` with works on."""
    began = monotonic()
    one.deliver(BYSTANDER)
    if deliver:
        one.deliver(SUBJECT)
    if seen is not None:
        until(lambda: seen(one), RECOVERY_SECONDS, "a sign of the fault in health and metrics")
    if not shared:
        until(lambda: one.is_recorded(BYSTANDER), RECOVERY_SECONDS, "the work on the other deployment")
    sleep(max(0.0, began + held - monotonic()))


def locked(folder: Path, times: int) -> list[float]:
    """Another process holds the lock of the SQLite file for longer than SQLite waits."""
    recovery = []
    with rig(folder) as one:
        for _ in range(times):
            with closing(sqlite3.connect(one.fleet.database, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                trial(one, held=_LOCKED_SECONDS, seen=fails, shared=True)
                other.execute("ROLLBACK")
            recovery.append(one.recover())
    return recovery


def postgresql_away(folder: Path, times: int) -> list[float]:
    """The server of the store is stopped and started."""
    recovery = []
    with Server() as server, rig(folder, store=server.database("away")) as one:
        for _ in range(times):
            server.stop()
            trial(one, seen=is_unready, shared=True)
            server.start()
            recovery.append(one.recover())
    return recovery


def sqlite_away(folder: Path, times: int) -> list[float]:
    """The folder with the SQLite file is renamed, and renamed back."""
    place, away = folder / "store", folder / "store.away"
    recovery = []
    with rig(folder, store=f"sqlite:///{place}/monitor.db") as one:
        for _ in range(times):
            place.rename(away)
            trial(one, seen=None, shared=True)
            if place.exists():  # made anew meanwhile, and empty
                place.rmdir()
            away.rename(place)
            recovery.append(one.recover())
    return recovery


def disk_full(folder: Path, times: int) -> list[float]:
    """The file system of data and store, a small one in memory, is filled and freed again."""
    var = folder / "var"
    var.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(var)], check=True)
    recovery = []
    try:
        with rig(folder) as one:
            for _ in range(times):
                ballast = _fill(var)
                trial(one, seen=fails, shared=True)
                ballast.unlink()
                recovery.append(one.recover())
    finally:
        subprocess.run(["umount", "-l", str(var)], check=True)
    return recovery


def _fill(folder: Path) -> Path:
    """Take all space there is; returns the file to remove to have it back."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def garbage(folder: Path, times: int) -> list[float]:
    """Files that are no batches: noise, half a Parquet file, a page of HTML, nothing at all, other columns."""
    recovery = []
    with rig(folder) as one:
        good = next(one.fleet.incoming(SUBJECT).iterdir()).read_bytes()
        kinds = (os.urandom(5000), good[: len(good) // 2], b"<html>502 Bad Gateway</html>\n", b"", b"x,y\n1,2\n")
        for k in range(times):
            name, content = f"garbage_{k:03d}", kinds[k % len(kinds)]
            hidden = one.fleet.incoming(SUBJECT) / f".{name}"
            hidden.write_bytes(content and content + str(k).encode())  # the same again would be a duplicate
            hidden.rename(one.fleet.incoming(SUBJECT) / f"{name}.parquet")
            one.expected[SUBJECT].append(name)
            trial(one, held=0.0, seen=None, shared=False)
            recovery.append(one.recover())
        verdicts = {r["batch"]: r["verdicts"]["inputs"]["verdict"] for r in one.records(SUBJECT)}
        wrong = {b: v for b, v in verdicts.items() if (v == "bad_data") != b.startswith("garbage")}
        assert not wrong, f"judged as {wrong}"
    return recovery


def _source(folder: Path, times: int, *, fault: Callable[[SqlSubject], object], seen: Seen | None) -> list[float]:
    recovery = []
    with Server() as server:
        subject = SqlSubject(server)
        with rig(folder, subject=subject.sections) as one:
            for _ in range(times):
                subject.await_window(one)
                with fault(subject):
                    trial(one, seen=seen, shared=False, deliver=False)
                began = monotonic()
                subject.await_window(one)
                one.recover()
                recovery.append(monotonic() - began)
            one.expected[SUBJECT] = subject.check(one)
    return recovery


def slow(folder: Path, times: int) -> list[float]:
    """The source's table is locked for a second at a time: less than `batches.timeout`."""
    return _source(folder, times, fault=lambda subject: subject.locked(1.0), seen=None)


def hanging(folder: Path, times: int) -> list[float]:
    """The source's table is locked for longer than `batches.timeout`."""
    return _source(folder, times, fault=lambda subject: subject.locked(None), seen=fails)


def stopped(folder: Path, times: int) -> list[float]:
    """All processes of the source's server are stopped (SIGSTOP): connections stay open, and nothing answers."""
    return _source(folder, times, fault=lambda subject: subject.server.frozen(), seen=hangs)


class _Clock:
    """The wall clock of a process under libfaketime; its monotonic clock stays as it is, as in a real jump."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.offset = 0.0
        self.set(0.0)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBFAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset: float) -> None:
        """Seconds to the machine's clock."""
        self.offset = offset
        hidden = self._file.with_suffix(".new")
        hidden.write_text(f"{offset:+.3f}\n")
        hidden.rename(self._file)


def _jumps(folder: Path, offsets: list[float], *, subject: dict[str, object] | None = None) -> list[float]:
    """Set the daemon's clock to one offset after the other; a batch comes after each jump, dated by the new clock."""
    folder.mkdir(parents=True, exist_ok=True)
    clock, recovery = _Clock(folder), []
    with rig(folder, environment=clock.environment) as one:
        for offset in offsets:
            clock.set(offset)
            trial(one, held=0.0, seen=None, shared=True)
            for name in (SUBJECT, BYSTANDER):
                newest = max(one.fleet.incoming(name).iterdir(), key=lambda file: file.name)
                os.utime(newest, (time() + offset, time() + offset))
            recovery.append(one.recover())
    return recovery


def clock_forward(folder: Path, times: int) -> list[float]:
    """By an hour each time."""
    return _jumps(folder, [3600.0 * (k + 1) for k in range(times)])


def clock_backward(folder: Path, times: int) -> list[float]:
    """By an hour each time."""
    return _jumps(folder, [-3600.0 * (k + 1) for k in range(times)])


def clock_dst(folder: Path, times: int) -> list[float]:
    """The daemon's clock passes from winter to summer time and back: the wake-up of that minute comes, and once.

    Wake-ups are by `cron`, every minute of Berlin's time. Recovery is counted from the moment of the change.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clock, recovery = _Clock(folder), []
    every_minute = {"schedule": {"cron": "* * * * *", "timezone": "Europe/Berlin"}}
    with rig(folder, environment=clock.environment, subject=every_minute) as one:
        for change in _changes(times):
            clock.set(change - time() - _BEFORE_SECONDS)
            until(lambda change=change: change - time() - clock.offset < 1.0, _BEFORE_SECONDS, "the change")
            trial(one, held=0.0, seen=None, shared=True)
            one.recover()
            recovery.append(time() + clock.offset - change)
            assert 0 < recovery[-1] < _BEFORE_SECONDS, f"recorded {recovery[-1]:.1f} s after the change"
    return recovery


def _changes(times: int) -> list[float]:
    """The last moments of March and October at which Berlin's clocks were changed, the newest first."""
    zone, found = ZoneInfo("Europe/Berlin"), []
    day = datetime(2026, 11, 1, 1, tzinfo=UTC)
    while len(found) < times:
        day -= timedelta(days=1)
        if day.astimezone(zone).utcoffset() != (day - timedelta(seconds=1)).astimezone(zone).utcoffset():
            found.append(day.timestamp())
    return found


def _kept(run: Callable[[Path, int], list[float]], times: int) -> dict[str, object]:
    with TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as folder:
        recovery = run(Path(folder) / "project", times)
    return {
        "times": len(recovery),
        "recovery_seconds_median": round(statistics.median(recovery), 2),
        "recovery_seconds_max": round(max(recovery), 2),
    }


FAULTS: dict[str, Callable[[Path, int], list[float]]] = {
    "clock-forward": clock_forward,
    "clock-backward": clock_backward,
    "clock-dst": clock_dst,
    "locked": locked,
    "postgresql-away": postgresql_away,
    "sqlite-away": sqlite_away,
    "disk-full": disk_full,
    "slow": slow,
    "hanging": hanging,
    "stopped": stopped,
    "garbage": garbage,
}


def run(names: list[str], times: int) -> dict[str, object]:
    """Each fault so many times. The first that is not borne ends it with an AssertionError that says which."""
    found: dict[str, object] = {}
    for name in names:
        found[name] = _kept(FAULTS[name], times)
        print(name, found[name], flush=True)
    return found

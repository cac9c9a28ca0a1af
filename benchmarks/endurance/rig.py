"""A daemon with two deployments: one that a fault is meant for, and one that must not notice."""

from __future__ import annotations

import contextlib
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.endurance.fleet import Fleet
from benchmarks.endurance.process import Daemon, until
from monitor.adapters.store.sql_store import SqlStore
from monitor.errors import StoreError

SUBJECT, BYSTANDER = "d00", "d01"
RECOVERY_SECONDS = 90


@dataclass(slots=True)
class Rig:
    fleet: Fleet
    url: str  # of the store
    daemon: Daemon
    address: str
    expected: dict[str, list[str]] = field(default_factory=lambda: {SUBJECT: [], BYSTANDER: []})

    def deliver(self, name: str) -> None:
        self.expected[name].append(self.fleet.deliver(name, labels=False))

    def records(self, name: str) -> list[dict[str, Any]]:
        store = SqlStore(self.url)
        try:
            return store.records(name)
        finally:
            store.close()

    def is_recorded(self, name: str) -> bool:
        """All that was delivered; False while the store cannot be asked."""
        with contextlib.suppress(StoreError):
            return set(self.expected[name]) <= {record["batch"] for record in self.records(name)}
        return False

    def metric(self, name: str, deployment: str | None = None) -> float | None:
        """Of the daemon's metrics page; None when it is not there."""
        label = "" if deployment is None else re.escape(f'{{deployment="{deployment}"}}')
        found = re.search(rf"^{name}{label} (\S+)$", self.page("/metrics"), re.MULTILINE)
        return None if found is None else float(found[1])

    def page(self, path: str) -> str:
        """Its text, whatever its status."""
        try:
            with urllib.request.urlopen(f"{self.address}{path}", timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as exc:
            return str(exc.read().decode())

    def recover(self) -> float:
        """Seconds until all that was delivered is recorded and the daemon says that it is well."""
        seconds = until(
            lambda: self.is_recorded(SUBJECT) and self.is_recorded(BYSTANDER), RECOVERY_SECONDS, "the recovery"
        )
        until(self.says_well, RECOVERY_SECONDS, "health as it is")
        assert self.daemon.running, "the daemon ended"
        return seconds

    def says_well(self) -> bool:
        failed = [self.metric("monitor_pass_failed", name) for name in (SUBJECT, BYSTANDER)]
        return failed == [0.0, 0.0] and self.page("/-/ready") == "ready\n"

    def check(self) -> None:
        """Nothing is lost and nothing is there twice."""
        for name, batches in self.expected.items():
            recorded = Counter(record["batch"] for record in self.records(name))
            assert recorded == Counter(batches), f"{name}: {recorded - Counter(batches)} {Counter(batches) - recorded}"


@contextmanager
def rig(
    folder: Path,
    *,
    store: str | None = None,
    environment: Mapping[str, str] | None = None,
    subject: Mapping[str, Any] | None = None,
) -> Iterator[Rig]:
    """`store`: URL, by default SQLite in `var/`. `subject` changes sections of the subject's deployment."""
    url = store or f"sqlite:///{folder}/var/monitor.db"
    fleet = Fleet.create(folder, 2, retrain={"mode": "off"}, process={"store": url}, every="500ms")
    if subject:
        fleet.configure(SUBJECT, {"retrain": {"mode": "off"}, "schedule": {"every": "500ms"}, **subject})
    daemon = Daemon(fleet.config, environment=environment)
    try:
        one = Rig(fleet, url, daemon, daemon.address())
        one.deliver(BYSTANDER)
        if not subject:
            one.deliver(SUBJECT)
        one.recover()
        yield one
        one.check()
        assert daemon.terminate() == 0
    finally:
        if daemon.running:
            daemon.kill()

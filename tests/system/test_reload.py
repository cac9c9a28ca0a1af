"""A daemon that reads its configuration again, by signal and by request: what changes, what stays, what is refused."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from monitor.adapters.store.sql_store import SqlStore
from monitor.web.tokens import hash_token
from tests.support.faults import make_fragile
from tests.support.project import Project, deployment
from tests.support.running import Running, until

BREAKAGES = 40
QUIET = {"retrain": {"mode": "off"}}
SUCCESS = "monitor_config_last_reload_successful"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(slots=True)
class Daemon:
    project: Project
    running: Running
    url: str

    def hangs_up(self, *, well: bool = True) -> dict[str, Any]:
        """Send the signal; what is logged of it."""
        event = "config_reloaded" if well else "config_reload_failed"
        before = len(self.running.events(event))
        self.running.process.send_signal(signal.SIGHUP)
        return self.running.wait_for(event, before + 1)

    def asked(self) -> httpx.Response:
        return httpx.post(f"{self.url}/api/v1/reload", timeout=60)

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics", timeout=60).text

    def metric(self, name: str) -> float:
        (value,) = re.findall(rf"^{name} (\S+)$", self.metrics(), re.MULTILINE)
        return float(value)

    def batches(self, name: str = "tiny") -> list[str]:
        store = SqlStore(f"sqlite:///{self.project.folder / 'var' / 'monitor.db'}")
        try:
            return [record["batch"] for record in store.records(name)]
        finally:
            store.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With a first model and one judged batch."""
    project = Project.create(tmp_path_factory.mktemp("reload") / "project", changes=QUIET)
    make_fragile(project)
    project.add_batch()
    running = Running(project)
    try:
        found = Daemon(project, running, str(running.wait_for("started")["address"]))
        until(lambda: found.batches() == ["batch_000"])
        yield found
        assert not running.events("pass_failed")
        running.process.send_signal(signal.SIGHUP)  # one that is hardly heard
        assert running.stop() == 0
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def daemon(running: Daemon) -> Iterator[Daemon]:
    """Each test finds the configuration as it was at first."""
    files = {file: file.read_bytes() for file in running.project.config.rglob("*.yaml")}
    yield running
    restore(running.project, files)
    running.hangs_up()


def restore(project: Project, files: Mapping[Path, bytes]) -> None:
    for file in project.config.rglob("*.yaml"):
        file.unlink()
    for file, content in files.items():
        file.write_bytes(content)


def other(project: Project, name: str = "other", **changes: Any) -> Path:
    """A second deployment, on a folder of its own."""
    plain = {**deployment(), **QUIET, "name": name, "batches": {"path": f"{name}/*.parquet", "settle": "0s"}, **changes}
    file = project.config / "deployments" / f"{name}.yaml"
    file.write_text(yaml.safe_dump(plain))
    (project.folder / name).mkdir(exist_ok=True)
    return file


def test_one_that_is_added_begins_and_one_that_is_removed_ends(daemon: Daemon):
    project = daemon.project
    file = other(project)
    rows = project.next_rows()
    project.write(project.folder / "other" / "first.parquet", rows.drop_columns(["y"]))
    told = daemon.hangs_up()
    assert (told["added"], told["removed"], told["changed"], told["unchanged"]) == (["other"], [], [], ["tiny"])
    until(lambda: daemon.batches("other") == ["first"])
    assert 'monitor_rows_total{deployment="other"} 120.0' in daemon.metrics()
    assert httpx.get(f"{daemon.url}/api/v1/deployments/other").status_code == 200
    pushed = httpx.put(
        f"{daemon.url}/api/v1/deployments/other/labels/now",
        content=b"row_id,y\nr120,UP\n",
        headers={"Content-Type": "text/csv"},
    )
    assert pushed.json()["rows"] == 1

    file.unlink()
    answer = daemon.asked()
    assert (answer.status_code, answer.json()["removed"]) == (200, ["other"])
    assert 'deployment="other"' not in daemon.metrics(), "its series vanish"
    assert httpx.get(f"{daemon.url}/api/v1/deployments/other").status_code == 404
    rows = project.next_rows()
    project.write(project.folder / "other" / "second.parquet", rows.drop_columns(["y"]))
    name = project.add_batch()
    until(lambda: name in daemon.batches())
    assert daemon.batches("other") == ["first"], "nobody works on it"

    other(project)
    assert daemon.hangs_up()["added"] == ["other"]
    until(lambda: daemon.batches("other") == ["first", "second"])


def test_one_that_is_changed_goes_on_with_what_it_knows(daemon: Daemon):
    project = daemon.project
    project.configure({**QUIET, "performance": {"metric": "accuracy", "floor": 0.123}})
    assert daemon.hangs_up()["changed"] == ["tiny"]
    metrics = daemon.metrics()
    assert 'monitor_performance_floor{deployment="tiny",metric="accuracy"} 0.123' in metrics
    assert 'monitor_pass_failed{deployment="tiny"} 0.0' in metrics
    name = project.add_batch()
    until(lambda: name in daemon.batches())
    assert 'version="1"' in next(line for line in daemon.metrics().splitlines() if "monitor_model_info{" in line)
    assert daemon.batches()[0] == "batch_000"


def test_a_pass_that_is_being_made_ends_as_it_began(daemon: Daemon):
    """The model takes its time; meanwhile its deployment changes twice, and is removed and added again."""
    project = daemon.project
    other(project)
    daemon.hangs_up()
    (project.folder / "fault").write_text("waits")
    names = [*daemon.batches(), project.add_batch()]
    until((project.folder / "scoring").exists)
    for floor in (0.1, 0.2):
        project.configure({**QUIET, "performance": {"metric": "accuracy", "floor": floor}})
        assert daemon.asked().json()["changed"] == ["tiny"]
    file = project.config / "deployments" / "tiny.yaml"
    content = file.read_bytes()
    file.unlink()
    assert daemon.asked().json()["removed"] == ["tiny"]
    assert 'deployment="tiny"' not in daemon.metrics()
    assert daemon.batches() == names[:-1], "it is still at work"
    (project.folder / "fault").unlink()
    until(lambda: daemon.batches() == names)
    assert 'deployment="tiny"' not in daemon.metrics(), "what it was at is recorded, and it is gone all the same"
    file.write_bytes(content)
    assert daemon.hangs_up()["added"] == ["tiny"]
    names.append(project.add_batch())
    until(lambda: daemon.batches() == names)


def broken(rng: random.Random, project: Project) -> tuple[Path, str | None]:
    """Another content of some file, None: the file is gone. Each is one that nobody wants to run."""
    monitor, tiny = project.config / "monitor.yaml", project.config / "deployments" / "tiny.yaml"
    file = rng.choice([monitor, tiny])
    text = file.read_text()
    plain = yaml.safe_load(text)
    at = rng.randrange(1, len(text))
    section = rng.choice(["schema", "batches", "schedule", "performance"])
    ways: list[Callable[[], tuple[Path, str | None]]] = [
        lambda: (file, text[:at] + rng.choice(["\t", "{", "]", "\x00", ": :", "\n- "]) + text[at:] + "\n  - }"),
        lambda: (file, yaml.safe_dump({**plain, f"unknown_{rng.randrange(99)}": 1})),
        lambda: (tiny, yaml.safe_dump({**yaml.safe_load(tiny.read_text()), section: rng.choice([3, "x", [1], None])})),
        lambda: (monitor, yaml.safe_dump({"http": {"bind": "127.0.0.1:0"}, "workers": rng.choice(["two", -1, [2]])})),
        lambda: (
            file,
            rng.choice(["", "null", "[1, 2]", "just words", "2026-99-99", "{1: 2}", "a: &a [*a]", "\ufffe"]),
        ),
        lambda: (tiny, None),  # the last deployment
        lambda: (project.config / "deployments" / f"new{rng.randrange(99)}.yaml", rng.choice([text, "name: new", "["])),
        lambda: (monitor, yaml.safe_dump({**yaml.safe_load(monitor.read_text()), rng.choice(["data", "store"]): "x"})),
        lambda: (tiny, tiny.read_text().replace("colour", "shade")),  # a schema that the model does not know
        lambda: (tiny, yaml.safe_dump({**yaml.safe_load(tiny.read_text()), "schedule": {"cron": "61 * * * *"}})),
    ]
    return rng.choice(ways)()


def test_a_broken_configuration_keeps_the_old_one_whole(daemon: Daemon):
    project, rng = daemon.project, random.Random(20261125)
    files = {file: file.read_bytes() for file in project.config.rglob("*.yaml")}
    started = daemon.metric("monitor_config_last_reload_success_timestamp_seconds")
    judged = daemon.batches()
    for number in range(BREAKAGES):
        file, content = broken(rng, project)
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
            other(project, "well")  # what is right is not taken either
        if number % 2:
            error = str(daemon.hangs_up(well=False)["error"])
        else:
            answer = daemon.asked()
            assert answer.status_code == 409, (content, answer.text)
            error = answer.json()["detail"]
        named = (file.name, "monitor.yaml", "no deployments", "schema's features", "schedule", file.stem)
        assert any(name in error for name in named), error
        assert daemon.metric(SUCCESS) == 0
        assert daemon.metric("monitor_config_last_reload_success_timestamp_seconds") == started
        listed = httpx.get(f"{daemon.url}/api/v1/deployments").json()
        assert [one["deployment"] for one in listed] == ["tiny"]
        restore(project, files)
        if number % 10 == 0:
            judged.append(project.add_batch())
            until(lambda: daemon.batches() == judged)
    assert daemon.hangs_up()["unchanged"] == ["tiny"]
    assert daemon.metric(SUCCESS) == 1
    assert daemon.metric("monitor_config_last_reload_success_timestamp_seconds") > started


def test_signals_in_a_hurry_end_in_the_last_configuration(daemon: Daemon):
    """A reload is asked for while others are at work, while a pass is made, and while the daemon stops."""
    for k in range(30):
        daemon.project.configure({**QUIET, "performance": {"metric": "accuracy", "floor": k / 100}})
        daemon.running.process.send_signal(signal.SIGHUP)
        daemon.asked().raise_for_status()
    daemon.hangs_up()
    assert 'monitor_performance_floor{deployment="tiny",metric="accuracy"} 0.29' in daemon.metrics()
    name = daemon.project.add_batch()
    until(lambda: name in daemon.batches())


def test_a_changed_schedule_counts_from_now(daemon: Daemon):
    project = daemon.project
    project.configure({**QUIET, "schedule": {"every": "1h"}})
    daemon.hangs_up()
    until(lambda: "monitor_pass_started_timestamp_seconds" not in daemon.metrics())
    name = project.add_batch()
    assert name not in daemon.batches()
    project.configure({**QUIET, "schedule": {"every": "1s"}})
    daemon.hangs_up()
    until(lambda: name in daemon.batches())


def test_a_token_comes_and_goes_and_what_takes_a_restart_says_so(running: Daemon):
    """The last test, for the tokens stay."""
    daemon = running
    monitor = daemon.project.config / "monitor.yaml"
    plain = yaml.safe_load(monitor.read_text())

    def tokens(*known: str) -> None:
        entries = [{"name": name, "role": "operate", "sha256": hash_token(name)} for name in known]
        monitor.write_text(yaml.safe_dump({**plain, "http": {**plain["http"], "tokens": entries}}))

    def status(token: str) -> int:
        return httpx.get(f"{daemon.url}/api/v1/deployments", headers={"Authorization": f"Bearer {token}"}).status_code

    tokens("one")
    told = daemon.hangs_up()
    assert (told["unchanged"], told["settings"]) == (["tiny"], ["http.tokens"])
    assert daemon.hangs_up()["settings"] == []
    assert (status("one"), status("two")) == (200, 401)
    tokens("two")
    assert daemon.hangs_up()["settings"] == ["http.tokens"]
    assert (status("one"), status("two")) == (401, 200)
    monitor.write_text(yaml.safe_dump(plain))
    assert "`http.tokens`: taking the last token away" in str(daemon.hangs_up(well=False)["error"])
    monitor.write_text(yaml.safe_dump({**plain, "workers": 3, "http": {"bind": "127.0.0.1:1"}}))
    assert "`workers`, `http.bind` cannot change while the daemon runs" in str(daemon.hangs_up(well=False)["error"])
    assert status("two") == 200


def test_a_hang_up_while_the_process_starts_reloads_once(tmp_path: Path):
    project = Project.create(tmp_path / "project", changes=QUIET)
    running = Running(project)
    try:
        until(lambda: catches_hang_ups(running.process.pid))
        assert not running.events("started")
        for _ in range(3):
            running.process.send_signal(signal.SIGHUP)
        assert not running.events("started"), "it came too late to say anything"
        running.wait_for("config_reloaded")
        assert running.stop() == 0
        assert len(running.events("config_reloaded")) == 1
    finally:
        running.process.kill()
        running.process.wait()


def catches_hang_ups(pid: int) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert caught is not None
    return bool(int(caught[1], 16) & 1 << (signal.SIGHUP - 1))

"""`make run` as a user sees it: the whole demo in real processes, stopped by Ctrl-C and started again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from monitor.bootstrap import open_application
from monitor.demo.scenario import PHASES

EVERY_SECONDS = "1"  # the feeder waits for nobody: a daemon that lags behind it sees labels in another order
_PATIENCE = 300  # seconds for what is waited for; batches come for ever, so lines do


@pytest.fixture(scope="module")
def copy(tmp_path_factory, project) -> Path:
    """The demo's configuration and models in a folder of their own, on any free port."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(project / "config", folder / "config")
    shutil.copytree(project / "models", folder / "models", ignore=shutil.ignore_patterns("__pycache__"))
    monitor = yaml.safe_load((folder / "config/monitor.yaml").read_text())
    (folder / "config/monitor.yaml").write_text(yaml.safe_dump({**monitor, "http": {"bind": "127.0.0.1:0"}}))
    return folder


class Demo:
    """One run. Reads what is told until something is found, then is interrupted like by Ctrl-C in a terminal."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "monitor.demo", "-c", str(folder / "config"), "--every", EVERY_SECONDS]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.told = ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        assert self._process.stdout is not None
        ends_at = time.monotonic() + _PATIENCE
        for line in self._process.stdout:
            self.told += line
            if found := re.search(pattern, line):
                return found
            assert time.monotonic() < ends_at, f"no {pattern!r} in {_PATIENCE} s:\n{self.told}"
        raise AssertionError(f"the demo ended without {pattern!r}:\n{self.told}")

    def wait_for_each(self, *patterns: str) -> None:
        """In whatever order they come."""
        missing = {pattern for pattern in patterns if not re.search(pattern, self.told)}
        while missing:
            self.wait_for("|".join(missing))
            missing = {pattern for pattern in missing if not re.search(pattern, self.told)}

    def interrupt(self) -> None:
        """To the foreground process group, as a terminal does. Nothing of it is left afterwards."""
        everybody = psutil.Process(self._process.pid).children(recursive=True)
        os.killpg(self._process.pid, signal.SIGINT)
        rest, _ = self._process.communicate(timeout=120)
        self.told += rest
        assert self._process.returncode == 0, self.told
        _, alive = psutil.wait_procs(everybody, timeout=60)
        assert not alive, f"still running: {alive}\n{self.told}"
        assert "Traceback" not in self.told

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()


@pytest.fixture
def start(copy):
    demos: list[Demo] = []

    def start() -> Demo:
        demos.append(Demo(copy))
        return demos[-1]

    yield start
    for demo in demos:
        demo.end()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_the_first_model_to_accuracy_back_and_on_after_ctrl_c(copy, start: Callable[[], Demo]):
    demo = start()
    url = demo.wait_for(r"where to look: (\S+)/metrics")[1]
    demo.wait_for(r"version 1 is deployed: accuracy 0\.9")
    demo.wait_for_each(r"labels: evidence \S+ of 100 \(label prior:\d [+-]0\.\d+[,)]", r"decision watch")
    shown = demo.wait_for(r"accuracy (\S+) with the scores as they are, (\S+) as served")
    raw, served = (float(level) for level in shown.groups())
    assert served > raw + 0.05
    assert "retraining" not in demo.told
    demo.wait_for_each(r"performance drift", r"retraining \(change\)", r"promoted version 2")
    back = demo.wait_for(r"accuracy back: (\S+) .* → (\S+) .* → (\S+) \(version \d+")
    healthy, low, now = (float(level) for level in back.groups())
    announced = [line for line in demo.told.splitlines() if "feeder:" in line]  # it waits for nobody: may be ahead
    assert [phase.announcement in line for phase, line in zip(PHASES, announced, strict=True)] == [True] * len(PHASES)
    assert low < now
    assert low < healthy - 0.1
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        assert b'monitor_model_info{candidate="' in answer.read()
    demo.interrupt()
    seen = history(copy)

    again = start()
    again.wait_for(rf"going on where it stopped: {sum(seen.values())} batches in the history")
    again.wait_for(r"batch-\d+: 250 images")
    again.interrupt()
    later = history(copy)
    assert set(later.values()) == {1}  # every batch once
    assert set(seen) < set(later)


def history(copy: Path) -> Counter[str]:
    with open_application(copy / "config", names=["digits"]) as app:
        return Counter(record["batch"] for record in app.store.records("digits"))

"""The command line in this process: exit code, standard output, standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.main import main
from tests.support.project import Project


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Monitor = Callable[..., Said]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command sets up the process's logging; the test run goes on with its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def monitor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Monitor:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("MONITOR_CONFIG", raising=False)

    def call(*arguments: object) -> Said:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose batches were all judged: eight quiet ones, then four with moved input and a flipped relation."""
    changes = {"detect": {"rule": "per_batch"}, "labels": {"hold": 0}}  # flipped at a stroke, and meant so
    project = Project.create(tmp_path_factory.mktemp("lived") / "project", changes=changes)
    for _ in range(8):
        project.add_batch()
    for k in range(4):
        project.add_batch(shift=1.5, flipped=True, labels=k < 2)
    assert main(["-c", str(project.config), "once"]) == 0
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project in which nothing has happened yet."""
    return Project.create(tmp_path / "project")

"""What tests find on this machine: recorded public streams and system programs. Missing ones skip, or fail in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.missing import missing

PROJECT = Path(__file__).parent.parent

pytest_plugins = ["tests.support.postgresql"]

settings.register_profile("monitor", deadline=None)  # how long an example takes depends on the machine
settings.load_profile("monitor")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest go first: the others fill the gaps, and no worker is left alone with a long one."""
    items.sort(key=_most_seconds, reverse=True)


def _most_seconds(item: pytest.Item) -> float:
    """A test with a time limit of its own needs it."""
    limit = item.get_closest_marker("timeout")
    return limit.args[0] if limit else 1.0 if item.get_closest_marker("slow") else 0.0


@pytest.fixture(scope="session")
def project() -> Path:
    """The repository's root."""
    return PROJECT


@pytest.fixture(scope="session")
def real_stream() -> Callable[[str], Path]:
    """Path of a recorded stream by name, without suffix: `elec2`, `bike_sharing`, …"""
    folder = Path(os.environ.get("MONITOR_REAL_DATA") or PROJECT.parent / "shared" / "data")

    def find(name: str) -> Path:
        if not (file := folder / f"{name}.parquet").is_file():
            absent = f"there is no {file}; MONITOR_REAL_DATA names the folder with the recorded streams"
            if os.environ.get("MONITOR_REQUIRE_REAL_DATA") == "1":
                pytest.fail(absent)
            pytest.skip(absent)
        return file

    return find


def _program(name: str, *other_names: str) -> Path:
    if (found := next(filter(None, map(shutil.which, (name, *other_names))), None)) is None:
        missing(f"{name} is not installed; `make test` installs it, or says how")
    return Path(found)


@pytest.fixture(scope="session")
def promtool() -> Path:
    return _program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    return _program("prometheus")


@pytest.fixture(scope="session")
def amtool() -> Path:
    return _program("amtool")


@pytest.fixture(scope="session")
def alertmanager() -> Path:
    return _program("alertmanager", "prometheus-alertmanager")  # Debian's name for it is the second one


@pytest.fixture(scope="session")
def systemd_analyze() -> Path:
    return _program("systemd-analyze")

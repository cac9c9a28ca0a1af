"""Each contract runs on every implementation of its port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.adapters.collected_data import ParquetCollectedData
from monitor.adapters.store.sql_store import SqlStore
from monitor.app.ports import CollectedData, Store
from tests.contracts.fakes import FakeCollectedData, FakeStore
from tests.support.postgresql import new_database


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "fake":
        yield FakeStore()
        return
    url = f"sqlite:///{tmp_path}/monitor.db"
    if request.param == "postgresql":
        url = new_database(request.getfixturevalue("postgresql"), f"t{abs(hash(request.node.nodeid))}")
    opened = SqlStore(url)
    yield opened
    opened.close()


@pytest.fixture(params=["fake", "parquet"])
def collected(request: pytest.FixtureRequest, tmp_path: Path) -> CollectedData:
    return FakeCollectedData() if request.param == "fake" else ParquetCollectedData(tmp_path)

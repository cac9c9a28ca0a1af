"""What is kept in memory between passes is what the store has, whoever else writes to it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.adapters.store.sql_store import SqlStore
from monitor.app.kept import Kept
from monitor.app.retrain_model import Orders
from monitor.bootstrap import Application, open_application
from monitor.domain.batch import DeliveryKind
from monitor.domain.version import Alias, AliasMove
from monitor.errors import BusyError
from tests.support.project import Project
from tests.support.stored import manifest

T0 = datetime(2026, 1, 5, tzinfo=UTC)
CHANGES = {
    "retrain": {"mode": "off"},
    "gate": {"kind": "off"},
    "detect": {"false_alarms": "1 per 10 batches"},
}


def quiet(share: float, what: str) -> None: ...


COMMANDS = {
    3: lambda app: app.retrain("tiny", Orders(), quiet),
    5: lambda app: app.rollback("tiny", "a look"),
    6: lambda app: app.promote("tiny", 2, "a look"),
    7: lambda app: app.reject_labels("tiny", ["batch_002"], "a look"),
    8: lambda app: app.release_labels("tiny", ["batch_002"], "a look"),
    9: lambda app: app.acknowledge("tiny", None, "a look"),
}


def played(folder: Path, processes: int) -> dict[str, Any]:
    """Ten passes, and an operator's word before some of them, dealt out in turn; what is stored in the end."""
    project = Project.create(folder, changes=CHANGES)
    with ExitStack() as stack:
        apps: list[Application] = [stack.enter_context(open_application(project.config)) for _ in range(processes)]
        turn = iter(range(100))
        for k in range(10):
            if command := COMMANDS.get(k):
                command(apps[next(turn) % processes])
            project.add_batch(shift=3.0 if k > 3 else 0.0)
            assert len(apps[next(turn) % processes].once()) == 1
        return stored(apps[0])


def stored(app: Application) -> dict[str, Any]:
    store = app.store
    records = [{k: v for k, v in record.items() if k != "seconds"} for record in store.records("tiny")]
    states = {f"detector:{v}{c}" for v in (1, 2) for c in ("", ":inputs", ":predictions", ":labels", ":performance")}
    entries = [*store.entries("tiny", DeliveryKind.BATCH), *store.entries("tiny", DeliveryKind.LABELS)]
    return {
        "records": records,
        "states": {key: store.state("tiny", key) for key in (*states, "watched", "labels", "policy", "trial")},
        "champion": store.alias("tiny", Alias.CHAMPION),
        "acknowledged": [event["channel"] for event in store.events("tiny", event="acknowledged")],
        "ledger": [(entry.name, entry.state) for entry in entries],
    }


def test_two_that_take_turns_end_as_one_that_works_alone(tmp_path):
    alone, in_turns = played(tmp_path / "alone", 1), played(tmp_path / "in turns", 2)
    assert in_turns == alone
    assert alone["champion"] == 2 and alone["acknowledged"]
    assert {record["model_version"] for record in alone["records"]} == {1, 2}
    assert json.loads(alone["states"]["labels"])["trust"] != {}


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    return SqlStore(f"sqlite:///{tmp_path}/monitor.db")


def test_it_asks_once_and_again_when_told_to_forget(store):
    kept = Kept(store)
    assert (kept.state("tiny", "policy"), kept.alias("tiny", Alias.CHAMPION)) == (None, None)
    with store.transaction() as tx:  # as another process would
        tx.put_state("tiny", "policy", b"1")
        tx.add_version(manifest(1, deployment="tiny"))
        tx.move_alias("tiny", AliasMove(alias=Alias.CHAMPION, version=1, previous=None, at=T0, reason=""))
    assert (kept.state("tiny", "policy"), kept.alias("tiny", Alias.CHAMPION)) == (None, None)
    kept.forget()
    assert (kept.state("tiny", "policy"), kept.alias("tiny", Alias.CHAMPION)) == (b"1", 1)


def test_it_follows_what_took_effect(store):
    kept = Kept(store)
    assert (kept.state("tiny", "policy"), kept.alias("tiny", Alias.CHAMPION)) == (None, None)
    with store.transaction() as tx:
        tx.put_state("tiny", "policy", b"1")
    kept.took_effect(tx)
    assert kept.state("tiny", "policy") == b"1"
    with store.transaction() as tx:
        tx.put_state("tiny", "policy", b"2")
        tx.add_version(manifest(1, deployment="tiny"))
        tx.move_alias("tiny", AliasMove(alias=Alias.CHAMPION, version=1, previous=None, at=T0, reason=""))
    kept.took_effect(tx)
    assert (kept.state("tiny", "policy"), kept.alias("tiny", Alias.CHAMPION)) == (b"2", 1)


def test_large_states_are_asked_for_every_time(store):
    kept = Kept(store)
    for size in (10, 2**20, 10):
        body = bytes(size)
        with store.transaction() as tx:
            tx.put_state("tiny", "policy", body)
        kept.took_effect(tx)
        assert kept.state("tiny", "policy") == body
    with store.transaction() as tx:  # as another process would
        tx.put_state("tiny", "policy", bytes(2**20))
    assert kept.state("tiny", "policy") == bytes(10)
    kept.forget()
    assert kept.state("tiny", "policy") == bytes(2**20)
    with store.transaction() as tx:
        tx.put_state("tiny", "policy", b"small again")
    assert kept.state("tiny", "policy") == b"small again"


def test_a_transaction_that_fails_leaves_it_as_the_store_is(tmp_path):
    project = Project.create(tmp_path, changes=CHANGES)
    with open_application(project.config) as app:
        app.once()
        runtime = app.runtime("tiny")
        with runtime.working():
            before = runtime.kept.state("tiny", "policy")
            with pytest.raises(BusyError), runtime.transaction() as tx:
                tx.put_state("tiny", "policy", b"another")
                raise BusyError("in between")
            assert runtime.kept.state("tiny", "policy") == before == app.store.state("tiny", "policy")

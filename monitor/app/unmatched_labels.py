"""Labels whose ids match no collected row: how many there are is kept in the store, so that any process can tell."""

from __future__ import annotations

from datetime import datetime

from monitor.app.json_state import load_json, save_json
from monitor.app.ports import States, Transaction
from monitor.app.runtime import Runtime
from monitor.domain.label_arrival import Unmatched

_UNMATCHED = "unmatched_labels"


def unmatched_labels(states: States, deployment: str) -> Unmatched:
    """As the last pass has left them."""
    plain = load_json(states, deployment, _UNMATCHED)
    if plain is None:
        return Unmatched()
    return Unmatched(rows=plain["rows"], since=plain["since"] and datetime.fromisoformat(plain["since"]))


def save_unmatched(tx: Transaction, deployment: str, found: Unmatched) -> None:
    save_json(tx, deployment, _UNMATCHED, {"rows": found.rows, "since": found.since and found.since.isoformat()})


def keep_unmatched(rt: Runtime) -> None:
    """Write them down when there are others than before. At the end of a pass: until then their batch may come."""
    found = rt.book.unmatched
    if found != unmatched_labels(rt.kept, rt.name):
        with rt.transaction() as tx:
            save_unmatched(tx, rt.name, found)

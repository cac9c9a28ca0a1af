"""States that are stored as JSON text, by deployment and key."""

from __future__ import annotations

import json
from typing import Any

from monitor.app.ports import States, Transaction


def load_json(states: States, deployment: str, key: str) -> Any:
    """None when there is none, or none any more."""
    body = states.state(deployment, key)
    return json.loads(body) if body else None


def save_json(tx: Transaction, deployment: str, key: str, plain: Any) -> None:
    """None: there is none any more."""
    tx.put_state(deployment, key, b"" if plain is None else json.dumps(plain).encode())

"""The trial that is running, as stored: it survives whatever ends the process."""

from __future__ import annotations

import json

from monitor.app.ports import States, Transaction
from monitor.domain.trial import Trial

_KEY = "trial"


def load_trial(states: States, deployment: str) -> Trial | None:
    body = states.state(deployment, _KEY)
    return Trial.from_dict(json.loads(body)) if body else None


def save_trial(tx: Transaction, deployment: str, trial: Trial | None) -> None:
    """None: there is none any more."""
    tx.put_state(deployment, _KEY, b"" if trial is None else json.dumps(trial.to_dict()).encode())

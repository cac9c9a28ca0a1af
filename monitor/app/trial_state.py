"""The trial that is running, as stored: it survives whatever ends the process."""

from __future__ import annotations

from monitor.app.json_state import load_json, save_json
from monitor.app.ports import States, Transaction
from monitor.domain.trial import Trial

_KEY = "trial"


def load_trial(states: States, deployment: str) -> Trial | None:
    plain = load_json(states, deployment, _KEY)
    return None if plain is None else Trial.from_dict(plain)


def save_trial(tx: Transaction, deployment: str, trial: Trial | None) -> None:
    """None: there is none any more."""
    save_json(tx, deployment, _KEY, None if trial is None else trial.to_dict())

"""The standard of a deployment, as stored, and what the journal says when it is missed and when it is met again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.app.json_state import load_json, save_json
from monitor.app.ports import States, Transaction
from monitor.domain.standard import Standard

Entry = tuple[str, Mapping[str, Any]]  # name and body of an event of the journal

_KEY = "standard"


def load_standard(states: States, deployment: str) -> Standard | None:
    plain = load_json(states, deployment, _KEY)
    return None if plain is None else Standard.from_dict(plain)


def save_standard(tx: Transaction, deployment: str, standard: Standard | None) -> None:
    """None: the champion of the next judged window sets it anew."""
    save_json(tx, deployment, _KEY, None if standard is None else standard.to_dict())


def turn(was: Standard | None, now: Standard, batch: str) -> Entry | None:
    """When the window of `batch` has shown that the standard is missed, or met again; None: neither."""
    before = "" if was is None else was.missed_since
    if before == now.missed_since:
        return None
    body = {"batch": batch, "standard": now.loss, "version": now.version}
    return ("standard_missed", body) if now.missed_since else ("standard_met", {**body, "since": before})

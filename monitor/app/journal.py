"""What the journal says of the daemon's passes and attempts, to any process that asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.app.ports import Store
from monitor.domain.policy import Trigger

PASS_FAILED, PASS_RECOVERED = "pass_failed", "pass_recovered"  # each at a change only
ATTEMPT_BEGUN, ATTEMPT = "attempt_begun", "attempt"  # the second says what came of it
BAD_DATA = "bad_data"  # a batch that cannot be used; in the log, too


def is_a_look(attempt: Mapping[str, Any]) -> bool:
    """An operator's dry run changes nothing but the journal, and is nobody's incident."""
    return bool(attempt["dry_run"]) and attempt["trigger"] == Trigger.OPERATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    since: datetime  # of this error
    error: str


def failing(store: Store, deployment: str) -> Failing | None:
    """None when the last pass that a daemon made succeeded, as far as it could write it down."""
    failed = store.events(deployment, event=PASS_FAILED, last=1)
    recovered = store.events(deployment, event=PASS_RECOVERED, last=1)
    if not failed or (recovered and recovered[0]["number"] > failed[0]["number"]):
        return None
    return Failing(since=datetime.fromisoformat(failed[0]["at"]), error=failed[0]["error"])

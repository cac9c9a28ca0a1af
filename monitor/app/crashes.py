"""A defect of ours in work beside the passes: nobody waits for its result, so it has to be told of here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.app.retrain_model import FAILED, Attempt
from monitor.app.runtime import Runtime
from monitor.domain.policy import Trigger
from monitor.domain.private import without_text
from monitor.errors import StoreError


def retrain_crashed(rt: Runtime, exc: Exception, *, dry_run: bool) -> None:
    """One that was begun over HTTP: an attempt that failed, in the journal and so in the metrics."""
    shown = _shown(rt, exc)
    rt.log.error("retrain_crashed", deployment=rt.name, error=repr(shown), exc_info=shown)
    attempt = Attempt(trigger=Trigger.OPERATOR, outcome=FAILED, reason=repr(shown), dry_run=dry_run)
    _enter(rt, "attempt", attempt.to_dict())


def report_crashed(rt: Runtime, exc: Exception, batch: str) -> None:
    shown = _shown(rt, exc)
    rt.log.error("report_crashed", deployment=rt.name, batch=batch, error=repr(shown), exc_info=shown)
    _enter(rt, "report_crashed", {"batch": batch, "error": repr(shown)})


def _shown(rt: Runtime, exc: Exception) -> Exception:
    return without_text(exc) if rt.schema.private else exc


def _enter(rt: Runtime, event: str, body: Mapping[str, Any]) -> None:
    try:
        with rt.store.transaction() as tx:
            tx.add_event(rt.name, rt.clock(), event, body)
    except StoreError as exc:
        rt.log.error("journal_unreachable", deployment=rt.name, error=str(exc))

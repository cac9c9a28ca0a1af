"""`/api/v1/…` for who may look: deployments, batches, deliveries, versions, the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from starlette.exceptions import HTTPException

from monitor.app.doubtful_labels import doubtful_labels
from monitor.app.status import deployment_status
from monitor.app.versions import plain_version, plain_versions
from monitor.domain.batch import DeliveryKind, LedgerEntry
from monitor.web.answers import (
    Answer,
    BatchAnswer,
    DeliveryAnswer,
    DeploymentAnswer,
    DoubtAnswer,
    EventAnswer,
    MeasureAnswer,
    VersionAnswer,
)
from monitor.web.routing import App, Name, router
from monitor.web.tokens import Role

read = router(Role.READ)

_KINDS = {"batches": DeliveryKind.BATCH, "labels": DeliveryKind.LABELS}
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"

Last = Annotated[int, Query(ge=1, le=1000, description="How many, the newest ones; oldest first.")]
Before = Annotated[int | None, Query(ge=1, lt=2**63, description="Only those with a smaller `number`.")]
Batch = Annotated[str, Path(description="Id of a batch, as the list has it.", pattern=_PRINTABLE, max_length=500)]


@read.get("/deployments", response_model=list[DeploymentAnswer])
def list_deployments(app: App) -> Answer:
    """All deployments, each as it stands."""
    now = datetime.now(UTC)
    return Answer([deployment_status(app.store, one, now).to_dict() for one in list(app.deployments.values())])


@read.get("/deployments/{name}", response_model=DeploymentAnswer)
def show_deployment(app: App, name: Name) -> Answer:
    """How a deployment stands: the last batch and its verdicts, performance, model, what happens next."""
    return Answer(deployment_status(app.store, app.deployments[name], datetime.now(UTC)).to_dict())


@read.get("/deployments/{name}/batches", response_model=list[BatchAnswer])
def list_batches(
    app: App,
    name: Name,
    last: Last = 20,
    before: Annotated[
        str | None, Query(pattern=_PRINTABLE, max_length=500, description="Only those judged before this batch.")
    ] = None,
) -> Answer:
    """Judged batches with verdicts, decision and performance."""
    if before is not None:
        _record(app, name, before)
    return Answer(app.store.records(name, last=last, before=before))


@read.get("/deployments/{name}/measures/{batch:path}", response_model=list[MeasureAnswer])
def list_measures(app: App, name: Name, batch: Batch) -> Answer:
    """Measures that `detect.measures` names, taken of the rows as you ask; once they expired, as they were kept."""
    found = app.measures(name, batch)
    if found is None:
        raise HTTPException(404, f"{name}: no judged batch {batch!r}")
    return Answer(found)


@read.get("/deployments/{name}/batches/{batch:path}", response_model=BatchAnswer)
def show_batch(app: App, name: Name, batch: Batch) -> Answer:
    """One judged batch."""
    return Answer(_record(app, name, batch))


@read.get("/deployments/{name}/deliveries", response_model=list[DeliveryAnswer])
def list_deliveries(
    app: App,
    name: Name,
    kind: Literal["batches", "labels"] = "batches",
    last: Last = 20,
    before: Before = None,
) -> Answer:
    """What was delivered, by file or by push, and what became of it."""
    found = app.store.latest_entries(name, _KINDS[kind], last=last, before=before)
    return Answer([_delivery(entry) for entry in found])


@read.get("/deployments/{name}/held-labels", response_model=list[DoubtAnswer])
def list_held_labels(app: App, name: Name) -> Answer:
    """Windows whose labels are held, then those that were rejected or released."""
    return Answer([doubt.to_dict() for doubt in doubtful_labels(app.store, name)])


@read.get("/deployments/{name}/versions", response_model=list[VersionAnswer])
def list_versions(app: App, name: Name) -> Answer:
    """Model versions with what they were trained on and how good they were."""
    return Answer(plain_versions(app.store, name))


@read.get("/deployments/{name}/versions/{version}", response_model=VersionAnswer)
def show_version(app: App, name: Name, version: Annotated[int, Path(ge=1, lt=2**31)]) -> Answer:
    """One model version, and when it became or ceased to be the champion."""
    found = plain_version(app.store, name, version)
    if found is None:
        raise HTTPException(404, f"{name}: no version {version}")
    return Answer(found)


@read.get("/deployments/{name}/journal", response_model=list[EventAnswer])
def list_events(
    app: App,
    name: Name,
    event: Annotated[str | None, Query(pattern="^[a-z_]{1,64}$", description="Only these.")] = None,
    last: Last = 20,
    before: Before = None,
) -> Answer:
    """Decisions, attempts, promotions, acknowledgements and failures."""
    return Answer(app.store.events(name, event=event, last=last, before=before))


def _record(app: App, name: str, batch: str) -> dict[str, Any]:
    record = app.store.record(name, batch)
    if record is None:
        raise HTTPException(404, f"{name}: no judged batch {batch!r}")
    return record


def _delivery(entry: LedgerEntry) -> dict[str, Any]:
    window = entry.window
    return {
        "number": entry.id,
        "id": entry.name,
        "state": entry.state.value,
        "reason": entry.reason,
        "fingerprint": entry.fingerprint,
        "size": entry.size,
        "modified": entry.modified,
        "window_start": window and window.start,
        "window_end": window and window.end,
    }

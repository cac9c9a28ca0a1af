"""`/api/v1/…` for who operates: close alarms, retrain, choose the champion. What `monitor` does on the command line."""

from __future__ import annotations

from concurrent.futures import wait
from typing import Annotated, Any

from fastapi import Body, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from monitor.app.versions import plain_move
from monitor.domain.verdict import Channel
from monitor.domain.version import Alias
from monitor.web.answers import Answer, AttemptAnswer, ClosedAlarm, DoubtAnswer, MoveAnswer, ReloadAnswer
from monitor.web.routing import App, Name, router
from monitor.web.tokens import Role

operate = router(Role.OPERATE)

_WAIT_SECONDS = 5  # an attempt that fails at once is told at once; a training run is not waited for
Reason = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$", description="Why; kept in the journal.")]

BatchId = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _in_json(request: Request) -> None:
    """Otherwise the body is not read at all, and each of its fields would be told to be missing."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        send = "send a JSON object, if only {}, with the header `Content-Type: application/json`"
        raise HTTPException(415, f"content type {media!r}: {send}")


_COMMAND: dict[str, Any] = {"dependencies": [Depends(_in_json)]}


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Acknowledge(_Command):
    channel: Channel | None = Field(default=None, description="All that stand when left out.")
    reason: Reason = "by hand"


class Retrain(_Command):
    dry_run: bool = Field(default=False, description="Train and compare, but promote nothing.")


class Promote(_Command):
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        default=None, description="The candidate when left out: that approves it."
    )
    reason: Reason = "by hand"


class Rollback(_Command):
    reason: Reason = "by hand"


class Labels(_Command):
    batches: Annotated[list[BatchId], Field(max_length=1000, description="All that are held when left out.")] = []
    reason: Reason = "by hand"


@operate.post("/reload", response_model=ReloadAnswer)
def reload(app: App) -> Answer:
    """Read the configuration again. 409 says what is wrong with it; then the old one stays, whole."""
    return Answer(app.reload().to_dict())


@operate.post("/deployments/{name}/acknowledge", response_model=list[ClosedAlarm], **_COMMAND)
def acknowledge(app: App, name: Name, command: Annotated[Acknowledge, Body()]) -> Answer:
    """Close standing alarms; answers which were open."""
    closed = app.acknowledge(name, command.channel, command.reason)
    return Answer([one.to_dict() for one in closed])


@operate.post("/deployments/{name}/retrain", response_model=AttemptAnswer, status_code=202, **_COMMAND)
def retrain(app: App, name: Name, command: Annotated[Retrain, Body()]) -> Answer:
    """Begin an attempt to retrain. 409 while another pass or attempt is at work; the journal says what came of it."""
    attempt = app.begin_retrain(name, dry_run=command.dry_run)
    wait([attempt], timeout=_WAIT_SECONDS)
    found = attempt.result() if attempt.done() else {"outcome": "running"}
    return Answer({"deployment": name, **found}, status_code=202)


@operate.post("/deployments/{name}/promote", response_model=MoveAnswer, **_COMMAND)
def promote(app: App, name: Name, command: Annotated[Promote, Body()]) -> Answer:
    """Make a version the champion: model, reference and detector take over together. Nothing changes if it is."""
    version = command.version or app.store.alias(name, Alias.CANDIDATE)
    if version is None:
        raise HTTPException(404, f"{name}: there is no candidate to approve; name a version")
    if app.store.manifest(name, version) is None:
        raise HTTPException(404, f"{name}: no version {version}")
    return Answer(plain_move(app.promote(name, version, command.reason)))


@operate.post("/deployments/{name}/rollback", response_model=MoveAnswer, **_COMMAND)
def rollback(app: App, name: Name, command: Annotated[Rollback, Body()]) -> Answer:
    """Go back to the champion before this one."""
    return Answer(plain_move(app.rollback(name, command.reason)))


@operate.post("/deployments/{name}/held-labels/release", response_model=list[DoubtAnswer], **_COMMAND)
def release_labels(app: App, name: Name, command: Annotated[Labels, Body()]) -> Answer:
    """Say that held labels are right: they are judged and learnt from. Answers what has changed."""
    return Answer([doubt.to_dict() for doubt in app.release_labels(name, command.batches, command.reason)])


@operate.post("/deployments/{name}/held-labels/reject", response_model=list[DoubtAnswer], **_COMMAND)
def reject_labels(app: App, name: Name, command: Annotated[Labels, Body()]) -> Answer:
    """Say that labels are wrong, held or not: they are never learnt from. Answers what has changed."""
    return Answer([doubt.to_dict() for doubt in app.reject_labels(name, command.batches, command.reason)])

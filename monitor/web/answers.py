"""What the API answers, as far as it is promised: fields that are not listed here may come and go.

The values are those that are stored and that `monitor … --json` prints; they are not built again from these models.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from monitor.adapters.store.encoding import to_json


class Answer(JSONResponse):
    """JSON as the store has it: what is not a number is null."""

    def render(self, content: Any) -> bytes:
        return to_json(content).encode()


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class DeploymentAnswer(_Open):
    """How a deployment stands, as `monitor status --json`."""

    deployment: str
    as_of: datetime
    batches: int
    waiting: int
    labels_waiting: int
    decision: str | None
    decision_reason: str
    retrain_mode: str


class VerdictAnswer(_Open):
    verdict: str
    reason: str
    evidence: float | None
    threshold: float | None
    distance: float | None


class BatchAnswer(_Open):
    """One judged batch, as `monitor history --json`."""

    deployment: str
    batch: str
    fingerprint: str
    window_start: datetime
    window_end: datetime
    rows: int
    quarantined: int
    model_version: int | None
    verdicts: dict[str, VerdictAnswer]
    decision: str
    decision_reason: str
    performance: dict[str, Any]
    label_prior: dict[str, Any]
    seconds: dict[str, float]


class MeasureAnswer(_Open):
    channel: str
    column: str
    measure: str
    statistic: float | None


class DeliveryAnswer(BaseModel):
    """One line of the ledger: what was delivered, and what became of it: a `state` as in `PushedAnswer`."""

    number: int  # larger than those of all before it
    id: str
    state: str
    reason: str
    fingerprint: str
    size: int
    modified: datetime
    window_start: datetime | None
    window_end: datetime | None


class VersionAnswer(_Open):
    """One model version, as `monitor models list --json`."""

    deployment: str
    version: int
    created: datetime
    origin: str
    aliases: list[str]
    metrics: dict[str, float | None]


class EventAnswer(_Open):
    """One entry of the journal: a decision, an attempt, a promotion, what an operator did."""

    number: int  # larger than those of all before it
    at: datetime
    event: str


class RejectedRow(BaseModel):
    row: int
    column: str
    reason: str
    detail: str


class PushedAnswer(BaseModel):
    """`state`: `waiting` when it is new; later `seen`, `claimed` by the pass that judges it, or what became of it:
    `done`, `bad`, `duplicate`, `replaced`."""

    deployment: str
    id: str
    state: str
    rows: int
    rejected: int
    reasons: list[RejectedRow]
    notes: list[str]


class ClosedAlarm(BaseModel):
    channel: str
    batch: str | None
    alarm: str
    columns: list[str]


class DoubtAnswer(_Open):
    """A window whose labels were doubted, as `monitor labels held --json`."""

    batch: str
    start: datetime
    end: datetime
    rows: int
    skill: float | None
    usual: float | None
    standing: str
    reason: str


class MoveAnswer(BaseModel):
    alias: str
    version: int | None
    previous: int | None
    at: datetime
    reason: str


class ReloadAnswer(BaseModel):
    """Names of deployments, and the keys of `monitor.yaml` whose values are new."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    unchanged: list[str]
    settings: list[str]


class AttemptAnswer(_Open):
    """What came of an attempt; `outcome` is `running` while it is not decided."""

    deployment: str
    outcome: str

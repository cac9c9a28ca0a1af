"""An attempt: take a snapshot, train candidates, hold the best to the gate, promote it or keep the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from monitor.app.champion import announce, open_alarm
from monitor.app.decide_next import policy_rule
from monitor.app.disk import lacking_space
from monitor.app.earlier import earlier_versions
from monitor.app.entrance import CHAMPION, SHADOW, WAITING, Entrance, enter, prepare
from monitor.app.journal import ATTEMPT, ATTEMPT_BEGUN, is_a_look
from monitor.app.memory import RetrainMemory
from monitor.app.ports import TrainingJob, TrainingResult
from monitor.app.runtime import Runtime
from monitor.app.snapshot import Snapshot, take_snapshot
from monitor.app.training import (
    code_of,
    publish,
    returned_manifest,
    staging_folder,
    trained_manifest,
    training_job,
)
from monitor.domain.gate import Check, Outcome
from monitor.domain.kept_out import MOST_BATCHES, held_out_rows
from monitor.domain.model import Progress
from monitor.domain.policy import Trigger, attempted
from monitor.domain.version import RETRAINED, Manifest
from monitor.errors import ConfigError, ModelError

FAILED = "failed"
_NUMBERS = ("checks", "facts", "intervals")  # of which there are too many for one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of it. `outcome` is promote, keep, reject or failed; `version` the one that was built, if any.

    `place` is where that version went: champion, shadow, or waiting for a person. The other fields are those of
    `TrainingResult`.
    """

    trigger: Trigger
    outcome: str
    reason: str
    version: int | None = None
    place: str = ""
    chosen: str = ""
    returning: int | None = None
    losses: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    rows: int = 0
    held_out: int = 0
    seconds: float = 0.0
    dry_run: bool = False

    @property
    def promoted(self) -> bool | None:
        """None while a trial, or a person, has yet to say so."""
        return None if self.place in (SHADOW, WAITING) else self.place == CHAMPION

    def to_dict(self) -> dict[str, Any]:
        plain = {**asdict(self), "trigger": self.trigger.value}
        return {**plain, "checks": [check.to_dict() for check in self.checks]}

    def told(self) -> dict[str, Any]:
        """What fits into a line of the log; the journal has the rest."""
        return {name: value for name, value in self.to_dict().items() if name not in _NUMBERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What an operator asks of one attempt, beyond the configuration. `since`: no rows of earlier batches."""

    mode: str | None = None  # None: the configured one
    candidates: tuple[str, ...] = ()  # none: the configured ones
    since: datetime | None = None


def retrain(rt: Runtime, trigger: Trigger, progress: Progress, orders: Orders | None = None) -> Attempt:
    """Make one attempt, and remember it whatever comes of it. The champion is never worse off for a failed one.

    A trainer that raises, hangs or dies is an attempt that failed, not an error of the daemon's. Raises ConfigError
    when there is no champion or no labelled row.
    """
    code_of(rt.config)  # a model that is served elsewhere is not trained here
    champion = rt.champion()
    if champion is None:
        raise ConfigError(f"{rt.name}: no champion yet; `monitor once` trains the first model")
    orders = orders or Orders()
    mode = orders.mode or rt.config.retrain.mode
    dry_run, now = mode == "dry_run", rt.latest or rt.clock()
    if (lacking := lacking_space(rt)) is not None:
        return _remember(rt, Attempt(trigger=trigger, outcome=FAILED, reason=lacking, dry_run=dry_run), None, now)
    rt.log.info("retrain_started", deployment=rt.name, trigger=trigger.value, dry_run=dry_run)
    with staging_folder(rt) as folder:
        manifest = champion.bundle.manifest
        snapshot = take_snapshot(rt, folder / "snapshot.parquet", lineage=manifest.lineage, since=orders.since)
        if not snapshot.new_rows:
            raise ConfigError(f"{rt.name}: no collected row has a label yet; nothing new to train on")
        with rt.transaction() as tx:
            tx.add_event(rt.name, now, ATTEMPT_BEGUN, {"trigger": trigger.value, "dry_run": dry_run})
        job = training_job(
            rt,
            snapshot.file,
            folder / "version",
            held_out=held_out_rows(
                snapshot.unseen or tuple(snapshot.collected.values()),
                most=None if rt.config.gate.kind == "strict" else MOST_BATCHES,
            ),
            window_rows=manifest.window_rows,
            candidates=orders.candidates or rt.config.retrain.candidates,
            record=RetrainMemory.load(rt.kept, rt.name).record,
            champion=champion.bundle,
            earlier=() if orders.candidates else earlier_versions(rt, champion),
        )
        try:
            result = rt.trainer.train(job, progress)
        except ModelError as exc:
            failed = Attempt(trigger=trigger, outcome=FAILED, reason=str(exc), dry_run=dry_run)
            return _remember(rt, failed, snapshot, now)
        attempt = _judged(result, trigger, dry_run=dry_run)
        entrance = None
        if attempt.outcome == Outcome.PROMOTE:
            built = _manifest(rt, job, result, manifest)
            entrance = prepare(rt, champion, publish(rt, job.staging, built), trigger, mode)
        return _remember(rt, attempt, snapshot, now, entrance=entrance, record=result.record)


def _manifest(rt: Runtime, job: TrainingJob, result: TrainingResult, champion: Manifest) -> Manifest:
    """Of the version that the trainer has left: a new model, or an earlier one that is right again."""
    for earlier in job.earlier:
        if earlier.manifest.version == result.returning:
            return returned_manifest(rt, result, earlier.manifest, parent=champion.version)
    return trained_manifest(rt, result, origin=RETRAINED, parent=champion.version, window_rows=champion.window_rows)


def _judged(result: TrainingResult, trigger: Trigger, *, dry_run: bool) -> Attempt:
    """What the training child found; a dry run keeps the champion whatever it is."""
    held_back = dry_run and result.outcome == Outcome.PROMOTE
    return Attempt(
        trigger=trigger,
        outcome=Outcome.KEEP if held_back else result.outcome,
        reason=f"dry run, would promote: {result.reason}" if held_back else result.reason,
        chosen=result.chosen,
        returning=result.returning,
        losses=result.losses,
        metrics=result.metrics,
        intervals=result.intervals,
        facts=result.facts,
        refused=result.refused,
        checks=result.checks,
        rows=result.rows,
        held_out=result.held_out,
        seconds=result.seconds,
        dry_run=dry_run,
    )


def _remember(
    rt: Runtime,
    attempt: Attempt,
    snapshot: Snapshot | None,
    now: datetime,
    *,
    entrance: Entrance | None = None,
    record: Mapping[str, float] | None = None,
) -> Attempt:
    """One transaction: what the attempt used and taught, and what became of the version it built, if any."""
    memory, champion = RetrainMemory.load(rt.kept, rt.name), rt.champion()
    if entrance is not None:
        attempt = replace(attempt, version=entrance.manifest.version, place=entrance.place)
    if not is_a_look(attempt.to_dict()):
        alarm = champion is not None and open_alarm(rt, champion)
        memory = replace(
            memory,
            policy=attempted(
                memory.policy,
                now,
                promoted=attempt.promoted,
                alarm=alarm,
                early=_early(rt, attempt, snapshot, memory),
            ),
            record=record if record is not None else memory.record,
            pending=None,
        )
        if snapshot is not None:
            memory = replace(memory, rows_used=snapshot.new_rows, batches_used=len(snapshot.collected))
    move = None
    with rt.transaction() as tx:
        if entrance is not None:
            move = enter(rt, tx, entrance, at=now, reason=f"{attempt.trigger.value}: {attempt.reason}")
        memory.save(tx, rt.name)
        tx.add_event(rt.name, now, ATTEMPT, attempt.to_dict())
    if move is not None:
        announce(rt, move)
    rt.log.info("retrain_ended", deployment=rt.name, **attempt.told())
    return attempt


def _early(rt: Runtime, attempt: Attempt, snapshot: Snapshot | None, memory: RetrainMemory) -> int:
    """Labelled rows that an attempt brought forward by distance was short of."""
    champion = rt.champion()
    if attempt.trigger is not Trigger.DISTANCE or snapshot is None or champion is None:
        return 0
    due = policy_rule(rt.config, champion.bundle.manifest.window_rows).new_labels
    return max(0, due - (snapshot.new_rows - memory.rows_used))

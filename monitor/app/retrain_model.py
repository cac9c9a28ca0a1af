"""An attempt: take a snapshot, train candidates, hold the best to the gate, promote it or keep the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from monitor.app.champion import announce, first_memory, install
from monitor.app.memory import DetectorMemory, RetrainMemory
from monitor.app.ports import TrainingResult
from monitor.app.runtime import Runtime
from monitor.app.snapshot import Snapshot, take_snapshot
from monitor.app.training import code_of, publish, staging_folder, trained_manifest, training_job
from monitor.domain.gate import Check, Outcome
from monitor.domain.kept_out import MOST_BATCHES, held_out_rows
from monitor.domain.model import Progress
from monitor.domain.policy import Trigger, attempted
from monitor.domain.version import Manifest
from monitor.errors import ConfigError, ModelError

_FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of it. `outcome` is promote, keep, reject or failed; `version` the new champion, if any.

    The other fields are those of `TrainingResult`.
    """

    trigger: Trigger
    outcome: str
    reason: str
    version: int | None = None
    chosen: str = ""
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

    def to_dict(self) -> dict[str, Any]:
        plain = {**asdict(self), "trigger": self.trigger.value}
        return {**plain, "checks": [check.to_dict() for check in self.checks]}


def retrain(rt: Runtime, trigger: Trigger, progress: Progress, *, dry_run: bool = False) -> Attempt:
    """Make one attempt, and remember it whatever comes of it. The champion is never worse off for a failed one.

    A trainer that raises, hangs or dies is an attempt that failed, not an error of the daemon's. Raises ConfigError
    when there is no champion or no labelled row.
    """
    code_of(rt.config)  # a model that is served elsewhere is not trained here
    champion = rt.champion()
    if champion is None:
        raise ConfigError(f"{rt.name}: no champion yet; `monitor once` trains the first model")
    dry_run = dry_run or rt.config.retrain.mode == "dry_run"
    now = rt.latest or rt.clock()
    rt.log.info("retrain_started", deployment=rt.name, trigger=trigger.value, dry_run=dry_run)
    with staging_folder(rt) as folder:
        snapshot = take_snapshot(rt, folder / "snapshot.parquet", fitted=champion.bundle.manifest.lineage.batches)
        if not snapshot.new_rows:
            raise ConfigError(f"{rt.name}: no collected row has a label yet; nothing new to train on")
        manifest = champion.bundle.manifest
        job = training_job(
            rt,
            snapshot.file,
            folder / "version",
            held_out=held_out_rows(
                snapshot.unseen or tuple(snapshot.collected.values()),
                most=None if rt.config.gate.kind == "strict" else MOST_BATCHES,
            ),
            window_rows=manifest.window_rows,
            candidates=rt.config.retrain.candidates,
            record=RetrainMemory.load(rt.store, rt.name).record,
            champion=champion.bundle,
        )
        try:
            result = rt.trainer.train(job, progress)
        except ModelError as exc:
            return _remember(rt, Attempt(trigger=trigger, outcome=_FAILED, reason=str(exc)), snapshot, now)
        held_back = dry_run and result.outcome == Outcome.PROMOTE
        attempt = Attempt(
            trigger=trigger,
            outcome=Outcome.KEEP if held_back else result.outcome,
            reason=f"dry run, would promote: {result.reason}" if held_back else result.reason,
            chosen=result.chosen,
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
        built = None
        if attempt.outcome == Outcome.PROMOTE:
            manifest = trained_manifest(
                rt, result, origin="retrain", parent=champion.version, window_rows=manifest.window_rows
            )
            built = publish(rt, job.staging, manifest)
        return _remember(rt, attempt, snapshot, now, built=built, result=result)


def _remember(
    rt: Runtime,
    attempt: Attempt,
    snapshot: Snapshot,
    now: datetime,
    *,
    built: Manifest | None = None,
    result: TrainingResult | None = None,
) -> Attempt:
    """One transaction: what the attempt used and taught, and the promotion if there is one."""
    memory = RetrainMemory.load(rt.store, rt.name)
    if built is not None:
        attempt = replace(attempt, version=built.version)
    if not (attempt.dry_run and attempt.trigger is Trigger.OPERATOR):  # a look by hand changes nothing but the journal
        memory = replace(
            memory,
            policy=attempted(memory.policy, now, promoted=built is not None, alarm=_open_alarm(rt)),
            rows_used=snapshot.new_rows,
            batches_used=len(snapshot.collected),
            record=result.record if result is not None else memory.record,
            pending=None,
        )
    move = None
    detector = first_memory(rt, built) if built is not None else DetectorMemory()
    with rt.transaction() as tx:
        if built is not None:
            move = install(rt, tx, built, detector, at=now, reason=f"{attempt.trigger.value}: {attempt.reason}")
        memory.save(tx, rt.name)
        tx.add_event(rt.name, now, "attempt", attempt.to_dict())
    if move is not None:
        announce(rt, move)
    rt.log.info("retrain_ended", deployment=rt.name, **attempt.to_dict())
    return attempt


def _open_alarm(rt: Runtime) -> bool:
    champion = rt.champion()
    if champion is None:
        return False
    detector = DetectorMemory.load(rt.store, rt.name, champion.version)
    return any(rt.config.detect.channels.of(channel) == "retrain" for channel in detector.drifting)

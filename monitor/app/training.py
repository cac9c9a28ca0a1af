"""What the first training, a retrain and an added model have in common: a job, a staging folder, a manifest."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.app.ports import ModelBundle, TrainingJob, TrainingResult
from monitor.app.runtime import Runtime
from monitor.app.situation import current_rows, estimated_prior, newest_change
from monitor.config.deployment import Deployment
from monitor.config.retraining import GateConfig
from monitor.domain.candidates import is_own, own_file
from monitor.domain.gate import Check, GateKind, GateRule
from monitor.domain.version import RETURNED, Lineage, Manifest
from monitor.errors import ConfigError


def code_of(config: Deployment) -> Path:
    """As configured; ConfigError for a model that is served elsewhere: there is nothing here to train or to load."""
    if config.model.code is None:
        raise ConfigError(f"{config.name}: the model is served elsewhere (`model.scores`); it has no code here")
    return config.model.code


def training_job(
    rt: Runtime,
    snapshot: Path,
    staging: Path,
    *,
    held_out: int,
    window_rows: int,
    candidates: Sequence[str],
    record: Mapping[str, float] | None = None,
    champion: ModelBundle | None = None,
    earlier: Sequence[ModelBundle] = (),
) -> TrainingJob:
    """Fill in what the deployment's configuration says, and what is known beside the labelled rows."""
    config = rt.config
    own = {name: rt.settings.path(own_file(name)) for name in candidates if is_own(name)}
    needs = set(candidates)
    current = current_rows(rt, staging.with_name("current.parquet")) if own or "importance" in needs else None
    return TrainingJob(
        staging=staging,
        snapshot=snapshot,
        code=rt.settings.path(code_of(config)),
        params=config.model.params,
        schema=rt.schema.to_dict(),
        seed=config.model.seed,
        held_out=held_out,
        window_rows=window_rows,
        candidates=candidates,
        record=record or {},
        selections=own,
        current=current,
        prior=estimated_prior(rt) if own or "prior" in needs else {},
        change=newest_change(rt) if own or "since_change" in needs else None,
        min_class_rows=config.retrain.min_labels_per_class,
        gate=gate_rule(config.gate),
        metric=config.performance.metric,
        champion=champion,
        earlier=earlier,
        trust=rt.settings.trust,
        timeout=config.retrain.timeout,
        memory=config.retrain.memory,
    )


def gate_rule(config: GateConfig) -> GateRule:
    return GateRule(
        kind=GateKind(config.kind),
        margin=config.margin,
        segments=config.segments,
        max_calibration_increase=config.max_calibration_increase,
        max_latency_ratio=config.max_latency_ratio,
        max_size_ratio=config.max_size_ratio,
        anchor_margin=config.anchor.margin,
    )


def new_manifest(
    rt: Runtime,
    *,
    origin: str,
    code: str,
    code_hash: str,
    classes: tuple[str, ...],
    window_rows: int,
    lineage: Lineage,
    held_out_rows: int,
    metrics: Mapping[str, float],
    candidate: str = "",
    checks: Sequence[Check] = (),
    parent: int | None = None,
) -> Manifest:
    """The next version's manifest, still without the hashes of its files."""
    return Manifest(
        deployment=rt.name,
        version=rt.store.next_version(rt.name),
        created=rt.clock(),
        origin=origin,
        schema_fingerprint=rt.schema.fingerprint,
        code=code,
        code_hash=code_hash,
        params=rt.config.model.params,
        seed=rt.config.model.seed,
        classes=classes,
        window_rows=window_rows,
        lineage=lineage,
        held_out_rows=held_out_rows,
        metrics=metrics,
        candidate=candidate,
        checks=tuple(checks),
        parent=parent,
    )


def trained_manifest(
    rt: Runtime, result: TrainingResult, *, origin: str, parent: int | None, window_rows: int
) -> Manifest:
    """What is recorded about a version that the trainer has just built."""
    extra: dict[str, Any] = dict(result.extra)
    return new_manifest(
        rt,
        origin=origin,
        code=str(rt.config.model.code),
        code_hash=extra["code_hash"],
        classes=result.classes,
        window_rows=window_rows,
        lineage=Lineage(
            rows=result.rows,
            batches=extra["origins"],
            rows_digest=extra["rows_digest"],
            first=extra["first"],
            last=extra["last"],
        ),
        held_out_rows=result.held_out,
        metrics=_measured(rt, result),
        candidate=result.chosen,
        checks=result.checks,
        parent=parent,
    )


def returned_manifest(rt: Runtime, result: TrainingResult, earlier: Manifest, *, parent: int) -> Manifest:
    """The next version's, of an earlier model: trained as it was, chosen now."""
    return replace(
        earlier,
        version=rt.store.next_version(rt.name),
        created=rt.clock(),
        origin=RETURNED,
        lineage=replace(earlier.lineage, chosen_on=result.extra["chosen_on"]),
        held_out_rows=result.held_out,
        metrics=_measured(rt, result),
        checks=result.checks,
        parent=parent,
        same_model_as=earlier.same_model_as or earlier.version,
        files={},
    )


def _measured(rt: Runtime, result: TrainingResult) -> dict[str, float]:
    """Of the chosen model on the held-out rows; what is not finite is left out."""
    measured = {rt.config.performance.metric: result.metrics[result.chosen], "loss": result.losses[result.chosen]}
    return {name: value for name, value in measured.items() if math.isfinite(value)}


def publish(rt: Runtime, staged: Path, manifest: Manifest) -> Manifest:
    """Move the staged folder to its place. A version that was published and never entered is removed first."""
    rt.artefacts.reap(m.version for m in rt.store.manifests(rt.name))
    return rt.artefacts.publish(staged, manifest)


@contextmanager
def staging_folder(rt: Runtime) -> Iterator[Path]:
    """An empty folder beside the data, gone afterwards; what a dead process left there goes first."""
    folder = rt.settings.data_folder / "staging" / rt.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

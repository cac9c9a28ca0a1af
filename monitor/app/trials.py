"""Two versions side by side: a candidate in shadow, or a promoted version and the one it has replaced.

The version beside the champion scores every batch, too; its scores are kept and never served. Nothing that goes wrong
with it harms the batch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitor.app.memory import DetectorMemory
from monitor.app.runtime import Champion, Runtime
from monitor.app.trial_state import load_trial
from monitor.domain.labels import class_codes
from monitor.domain.model import Scores
from monitor.domain.score_columns import BESIDE
from monitor.domain.trial import Concluded, Pair, Role, Trial, conclude
from monitor.domain.verdict import Channel
from monitor.errors import ArtefactError, ModelError
from monitor.stats.losses import absolute_error, log_loss
from monitor.stats.sequential.duel import standardised


def running_trial(rt: Runtime, champion: Champion) -> Trial | None:
    """The trial beside this champion. One that was begun under another has no meaning any more."""
    trial = load_trial(rt.kept, rt.name)
    return trial if trial is not None and trial.champion == champion.version else None


def score_beside(
    rt: Runtime, trial: Trial | None, batch: str, rows: pa.Table, champion: Champion
) -> tuple[Trial | None, dict[str, Scores]]:
    """The other version's scores of a batch, in the champion's classes; a version that cannot score ends its trial."""
    if trial is None:
        return None, {}
    manifest = rt.store.manifest(rt.name, trial.other)
    if manifest is None:
        return replace(trial, broken="it is not among the versions"), {}
    try:
        scores = rt.beside.score(rt.artefacts.verify(manifest), rows)
    except (ModelError, ArtefactError) as exc:
        rt.log.warning("beside_failed", deployment=rt.name, version=trial.other, batch=batch, error=str(exc))
        return replace(trial, broken=str(exc)), {}
    wanted = champion.bundle.manifest.classes
    return replace(trial, scored=(*trial.scored, batch)), {BESIDE: _in_classes(scores, manifest.classes, wanted)}


def compare_matured(rt: Runtime, trial: Trial | None, champion: Champion) -> Trial | None:
    """Add a pair for every batch whose labels have come since, in the order of the batches."""
    if trial is None or rt.config.labels is None:
        return trial
    known = {pair.batch for pair in trial.pairs}
    for batch in trial.scored:
        if batch in rt.collected and batch not in known and rt.book.coverage(batch) >= rt.config.labels.matured_at:
            trial = trial.with_pair(_pair(rt, batch, champion.bundle.manifest.classes))
    return trial


def _pair(rt: Runtime, batch: str, classes: tuple[str, ...]) -> Pair:
    rows, labels = rt.collected.read(batch), rt.book.labels(batch)
    ids = rows.column(rt.schema.id or "").combine_chunks()
    at = pc.index_in(labels.column("id").combine_chunks(), value_set=ids).to_numpy(zero_copy_only=False)
    served = _losses(rt.collected.scores(batch)[at], labels, classes)
    other = _losses(_stored(rows, classes)[at], labels, classes)
    z = standardised(served, other)
    return Pair(
        batch=batch,
        rows=len(served),
        champion=float(served.mean()),
        other=float(other.mean()),
        z=z if np.isfinite(z) else None,
    )


def _stored(rows: pa.Table, classes: tuple[str, ...]) -> Scores:
    if not classes:
        return np.asarray(rows.column(f"{BESIDE}value").to_numpy(), dtype=np.float64)
    return np.column_stack([rows.column(f"{BESIDE}{name}").to_numpy() for name in classes])


def _losses(scores: Scores, labels: pa.Table, classes: tuple[str, ...]) -> npt.NDArray[np.float64]:
    if classes:
        return log_loss(scores, class_codes(labels.column("label").to_pylist(), classes))
    return absolute_error(scores, labels.column("label").to_numpy())


def _in_classes(scores: Scores, known: tuple[str, ...], wanted: tuple[str, ...]) -> Scores:
    """The columns of `wanted`; a class that the version does not know was given nothing."""
    if known == wanted:
        return scores
    columns = [scores[:, known.index(name)] if name in known else np.zeros(len(scores)) for name in wanted]
    return np.column_stack(columns)


def finding(rt: Runtime, trial: Trial, detector: DetectorMemory) -> Concluded | None:
    """What the pairs say so far; None while more are wanted."""
    drifting = Channel.PERFORMANCE in detector.drifting
    return conclude(trial, min_increase=rt.config.detect.min_loss_increase, drifting=drifting)


def said_of(rt: Runtime, trial: Trial | None, detector: DetectorMemory) -> tuple[str, ...]:
    """For the record of the batch with which a trial ends."""
    found = None if trial is None else finding(rt, trial, detector)
    if trial is None or found is None:
        return ()
    return (f"{role_in_words(trial)}: {found.finding.value.replace('_', ' ')}: {found.reason}",)


def role_in_words(trial: Trial) -> str:
    """For a person: which version is beside the champion, and as what."""
    if trial.role is Role.CANDIDATE:
        return f"version {trial.other} is scored in shadow"
    return f"version {trial.champion} is watched beside its predecessor, version {trial.other}"

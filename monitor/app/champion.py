"""Which version is deployed: the first one, a better one, one trained elsewhere, or the one before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitor.app.add_model import take_in
from monitor.app.contract import check_contract
from monitor.app.earlier import in_force
from monitor.app.memory import DetectorMemory
from monitor.app.ports import Transaction
from monitor.app.runtime import Champion, Runtime
from monitor.app.snapshot import take_first_snapshot
from monitor.app.standard_state import save_standard
from monitor.app.training import publish, staging_folder, trained_manifest, training_job
from monitor.app.trial_state import save_trial
from monitor.domain.model import Progress
from monitor.domain.policy import Trigger
from monitor.domain.trial import Role, Trial
from monitor.domain.verdict import Channel
from monitor.domain.version import RETRAINED, RETURNED, Alias, AliasMove, Manifest
from monitor.errors import ConfigError

_ANY = timedelta(days=1)  # an interval that no number of a successor depends on
_HELD_OUT_SHARE = 0.2  # of the first training set: the newest rows, for the reference's scores and loss
_PROMOTED = "promoted"
_ROLLED_BACK = "rolled_back"


def ensure_champion(rt: Runtime, progress: Progress) -> Champion:
    """Return the champion; with none yet, train the first one from `training.path`.

    Raises ConfigError when there is neither, or when the champion was trained under another schema.
    """
    champion = rt.champion()
    if champion is None:
        _train_first(rt, progress)
        champion = rt.champion()
    if champion is None:
        raise LookupError(f"{rt.name}: no champion after training the first one")
    check_contract(rt.config, champion.bundle.manifest)
    return champion


def deploy(
    rt: Runtime,
    tx: Transaction,
    version: int,
    memory: DetectorMemory,
    *,
    at: datetime,
    reason: str,
    watch: Trial | None = None,
) -> AliasMove:
    """Make a version that was never deployed the champion, with the memory that it starts from (see `first_memory`).

    `watch` is the trial that follows (see `watch_after`). `announce` the move once the transaction has taken effect.
    """
    memory.save(tx, rt.name, version)
    return _move(rt, tx, version, at=at, reason=reason, event=_PROMOTED, trial=watch)


def take_back(rt: Runtime, tx: Transaction, version: int, *, at: datetime, reason: str) -> AliasMove:
    """Make the predecessor the champion again: its reference comes with it, its detector goes on where it was."""
    return _move(rt, tx, version, at=at, reason=reason, event=_ROLLED_BACK)


def announce_return(rt: Runtime, move: AliasMove) -> None:
    announce(rt, move, _ROLLED_BACK)


def watch_after(rt: Runtime, version: int, trigger: Trigger) -> Trial | None:
    """The trial of a version that is about to be promoted, beside the champion of now. None when there is to be none.

    Without labels nothing could be compared.
    """
    champion, windows = rt.champion(), rt.config.retrain.watch
    if champion is None or champion.version == version or windows == 0 or rt.config.labels is None:
        return None
    return Trial(
        role=Role.PREDECESSOR,
        champion=version,
        other=champion.version,
        windows=windows,
        trigger=trigger,
        answered=open_alarm(rt, champion),
    )


def open_alarm(rt: Runtime, champion: Champion) -> bool:
    """Whether drift stands on a channel that may cause a retrain."""
    detector = DetectorMemory.load(rt.kept, rt.name, champion.version)
    return any(rt.config.detect.channels.of(channel) == "retrain" for channel in detector.drifting)


def announce(rt: Runtime, move: AliasMove, event: str = _PROMOTED) -> None:
    """Log a move that has taken effect: what is undone by a failing transaction must not have been told."""
    rt.log.info(event, deployment=rt.name, version=move.version, previous=move.previous, reason=move.reason)


def first_memory(rt: Runtime, manifest: Manifest) -> DetectorMemory:
    """What the detector of a version that succeeds the champion starts from.

    It has seen nothing yet, except that its loss is as uncertain from batch to batch as the champion's was.
    """
    champion = rt.champion()
    if champion is None:
        return DetectorMemory()
    memory = DetectorMemory.load(rt.kept, rt.name, champion.version)
    states: dict[Channel, bytes] = {}
    if known := memory.states.get(Channel.PERFORMANCE):
        watch = rt.deployed(rt.artefacts.verify(manifest)).watch
        interval = memory.interval(_ANY)
        states[Channel.PERFORMANCE] = watch.successor(Channel.PERFORMANCE, known, champion.watch, interval)
    return memory.of_next_version({channel: state for channel, state in states.items() if state})


def promote(rt: Runtime, version: int, reason: str) -> AliasMove:
    """Make a known version the champion, by the operator's word. Its detector goes on where it was.

    One that a retrain has built and that waited for this is watched like any other promotion; other versions are not,
    and set the standard that the deployment is held to.
    For the champion itself nothing changes, and the move that made it the champion is returned: a second entry in the
    history would make a rollback go back to where it is.
    """
    manifest = rt.store.manifest(rt.name, version)
    if manifest is None:
        known = ", ".join(str(m.version) for m in rt.store.manifests(rt.name)) or "none"
        raise ConfigError(f"{rt.name}: no version {version}; known: {known}")
    rt.artefacts.verify(manifest)
    if rt.store.alias(rt.name, Alias.CHAMPION) == version:
        return rt.store.alias_history(rt.name, Alias.CHAMPION)[-1]
    new = not DetectorMemory.exists(rt.kept, rt.name, version)
    waited = manifest.origin in (RETRAINED, RETURNED) and rt.store.alias(rt.name, Alias.CANDIDATE) == version
    watch = watch_after(rt, version, Trigger.OPERATOR) if waited else None
    memory = first_memory(rt, manifest) if new else DetectorMemory.load(rt.kept, rt.name, version)
    with rt.transaction() as tx:
        if not waited:  # a person's own choice is what the deployment is held to from now on
            save_standard(tx, rt.name, None)
        move = deploy(rt, tx, version, memory, at=rt.clock(), reason=reason, watch=watch)
    announce(rt, move)
    return move


def rollback(rt: Runtime, reason: str) -> AliasMove:
    """Go back to the champion before this one: model, reference and detector state come back together."""
    stack = in_force(rt.store.alias_history(rt.name, Alias.CHAMPION))
    manifest = rt.store.manifest(rt.name, stack[-2]) if len(stack) > 1 else None
    if manifest is None:
        raise ConfigError(f"{rt.name}: there is no earlier champion to go back to")
    rt.artefacts.verify(manifest)
    with rt.transaction() as tx:
        move = take_back(rt, tx, manifest.version, at=rt.clock(), reason=reason)
    announce_return(rt, move)
    return move


def _move(
    rt: Runtime, tx: Transaction, version: int, *, at: datetime, reason: str, event: str, trial: Trial | None = None
) -> AliasMove:
    """A trial that was running beside the earlier champion is over."""
    previous = rt.store.alias(rt.name, Alias.CHAMPION)
    move = AliasMove(alias=Alias.CHAMPION, version=version, previous=previous, at=at, reason=reason)
    tx.move_alias(rt.name, move)
    candidate = rt.store.alias(rt.name, Alias.CANDIDATE)
    if candidate == version:
        tx.move_alias(rt.name, replace(move, alias=Alias.CANDIDATE, version=None, previous=candidate))
    save_trial(tx, rt.name, trial)
    tx.add_event(rt.name, at, event, {"version": version, "previous": previous, "reason": reason})
    return move


def _train_first(rt: Runtime, progress: Progress) -> None:
    training = rt.config.training
    if training is None:
        raise ConfigError(
            f"{rt.name}: no champion and no `training.path` to train the first one from; "
            f"set it, or add a model with `monitor models add {rt.name} …`"
        )
    if rt.config.model.code is None:
        _take_first(rt, training.path)
        return
    rt.log.info("first_training_started", deployment=rt.name, path=training.path)
    with staging_folder(rt) as folder:
        snapshot = take_first_snapshot(rt, folder / "snapshot.parquet")
        job = training_job(
            rt,
            snapshot.file,
            folder / "version",
            held_out=max(1, round(_HELD_OUT_SHARE * snapshot.rows)),
            window_rows=snapshot.rows,
            candidates=["all"],
        )
        result = rt.trainer.train(job, progress)
        manifest = trained_manifest(rt, result, origin="initial", parent=None, window_rows=snapshot.rows)
        manifest = publish(rt, job.staging, manifest)
        with rt.transaction() as tx:
            tx.add_version(manifest)
            reason = f"first model, trained from {training.path}"
            move = deploy(rt, tx, manifest.version, DetectorMemory(), at=rt.clock(), reason=reason)
        announce(rt, move)


def _take_first(rt: Runtime, path: str) -> None:
    """The first version of a model that is served elsewhere: a reference from the rows of `path` and their scores."""
    with staging_folder(rt) as folder:
        manifest = take_in(rt, path, "training.path", folder / "version", None, origin="initial")
        with rt.transaction() as tx:
            tx.add_version(manifest)
            reason = f"served elsewhere; its scores of {path} are the reference"
            move = deploy(rt, tx, manifest.version, DetectorMemory(), at=rt.clock(), reason=reason)
        announce(rt, move)

"""Which version is deployed: the first one, a better one, one trained elsewhere, or the one before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitor.app.add_model import take_in
from monitor.app.memory import DetectorMemory
from monitor.app.ports import Transaction
from monitor.app.runtime import Champion, Runtime
from monitor.app.snapshot import take_first_snapshot
from monitor.app.training import publish, staging_folder, trained_manifest, training_job
from monitor.domain.model import Progress
from monitor.domain.verdict import Channel
from monitor.domain.version import Alias, AliasMove, Manifest
from monitor.errors import ConfigError

_ANY = timedelta(days=1)  # an interval that no number of a successor depends on
_HELD_OUT_SHARE = 0.2  # of the first training set: the newest rows, for the reference's scores and loss
_PROMOTED = "promoted"


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
    manifest = champion.bundle.manifest
    if bool(manifest.code) != (rt.config.model.code is not None):
        raise ConfigError(
            f"{rt.name}: version {champion.version} is {manifest.code or 'served elsewhere'}, the configuration has "
            f"{rt.config.model.code or 'scores from elsewhere'}; that is another deployment: give it a new name"
        )
    trained_under = manifest.schema_fingerprint
    if trained_under != rt.schema.fingerprint:
        raise ConfigError(
            f"{rt.name}: the schema's features or label changed since version {champion.version} was trained "
            f"({trained_under} → {rt.schema.fingerprint}); a changed schema is a new deployment: give it a new name"
        )
    return champion


def install(
    rt: Runtime, tx: Transaction, manifest: Manifest, memory: DetectorMemory, *, at: datetime, reason: str
) -> AliasMove:
    """Enter a version and make it the champion, with the memory that it starts from (see `first_memory`).

    `announce` the move once the transaction has taken effect.
    """
    tx.add_version(manifest)
    memory.save(tx, rt.name, manifest.version)
    return _move(rt, tx, manifest.version, at=at, reason=reason, event=_PROMOTED)


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
    memory = DetectorMemory.load(rt.store, rt.name, champion.version)
    states: dict[Channel, bytes] = {}
    if known := memory.states.get(Channel.PERFORMANCE):
        watch = rt.deployed(rt.artefacts.verify(manifest)).watch
        interval = memory.interval(_ANY)
        states[Channel.PERFORMANCE] = watch.successor(Channel.PERFORMANCE, known, champion.watch, interval)
    return memory.of_next_version({channel: state for channel, state in states.items() if state})


def promote(rt: Runtime, version: int, reason: str) -> AliasMove:
    """Make a known version the champion, by the operator's word. Its detector goes on where it was."""
    manifest = rt.store.manifest(rt.name, version)
    if manifest is None:
        known = ", ".join(str(m.version) for m in rt.store.manifests(rt.name)) or "none"
        raise ConfigError(f"{rt.name}: no version {version}; known: {known}")
    rt.artefacts.verify(manifest)
    return _moved(rt, version, reason, _PROMOTED)


def rollback(rt: Runtime, reason: str) -> AliasMove:
    """Go back to the champion before this one: model, reference and detector state come back together."""
    stack: list[int] = []
    for move in rt.store.alias_history(rt.name, Alias.CHAMPION):
        if move.version is not None and stack[-2:-1] == [move.version]:
            stack.pop()  # going back undoes a promotion; going back twice must not go forward again
        elif move.version is not None:
            stack.append(move.version)
    manifest = rt.store.manifest(rt.name, stack[-2]) if len(stack) > 1 else None
    if manifest is None:
        raise ConfigError(f"{rt.name}: there is no earlier champion to go back to")
    rt.artefacts.verify(manifest)
    return _moved(rt, manifest.version, reason, "rolled_back")


def _moved(rt: Runtime, version: int, reason: str, event: str) -> AliasMove:
    with rt.transaction() as tx:
        move = _move(rt, tx, version, at=rt.clock(), reason=reason, event=event)
    announce(rt, move, event)
    return move


def _move(rt: Runtime, tx: Transaction, version: int, *, at: datetime, reason: str, event: str) -> AliasMove:
    previous = rt.store.alias(rt.name, Alias.CHAMPION)
    move = AliasMove(alias=Alias.CHAMPION, version=version, previous=previous, at=at, reason=reason)
    tx.move_alias(rt.name, move)
    candidate = rt.store.alias(rt.name, Alias.CANDIDATE)
    if candidate == version:
        tx.move_alias(rt.name, replace(move, alias=Alias.CANDIDATE, version=None, previous=candidate))
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
            move = install(
                rt, tx, manifest, DetectorMemory(), at=rt.clock(), reason=f"first model, trained from {training.path}"
            )
        announce(rt, move)


def _take_first(rt: Runtime, path: str) -> None:
    """The first version of a model that is served elsewhere: a reference from the rows of `path` and their scores."""
    with staging_folder(rt) as folder:
        manifest = take_in(rt, path, folder / "version", None, origin="initial")
        with rt.store.transaction() as tx:
            reason = f"served elsewhere; its scores of {path} are the reference"
            move = install(rt, tx, manifest, DetectorMemory(), at=rt.clock(), reason=reason)
        announce(rt, move)

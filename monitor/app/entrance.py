"""What becomes of a version that has passed the gate: deployed, put in shadow, or kept for a person to promote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.app.champion import deploy, first_memory, open_alarm, watch_after
from monitor.app.memory import DetectorMemory
from monitor.app.ports import Transaction
from monitor.app.runtime import Champion, Runtime
from monitor.app.trial_state import save_trial
from monitor.domain.policy import Trigger
from monitor.domain.trial import Role, Trial
from monitor.domain.version import Alias, AliasMove, Manifest

CHAMPION, SHADOW, WAITING = "champion", "shadow", "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """Prepared from files, before the transaction in which `enter` writes. `place`: champion, shadow or waiting."""

    manifest: Manifest
    place: str
    memory: DetectorMemory
    trial: Trial | None


def prepare(rt: Runtime, champion: Champion, manifest: Manifest, trigger: Trigger, mode: str) -> Entrance:
    """By mode: `approve` waits, `shadow` compares first (where labels come to compare by), all others promote."""
    if mode == "approve":
        return Entrance(manifest=manifest, place=WAITING, memory=DetectorMemory(), trial=None)
    if mode == "shadow":
        trial = Trial(
            role=Role.CANDIDATE,
            champion=champion.version,
            other=manifest.version,
            windows=rt.config.retrain.shadow_batches,
            trigger=trigger,
            answered=open_alarm(rt, champion),
        )
        return Entrance(manifest=manifest, place=SHADOW, memory=DetectorMemory(), trial=trial)
    return Entrance(
        manifest=manifest,
        place=CHAMPION,
        memory=first_memory(rt, manifest),
        trial=watch_after(rt, manifest.version, trigger),
    )


def enter(rt: Runtime, tx: Transaction, entrance: Entrance, *, at: datetime, reason: str) -> AliasMove | None:
    """The champion's move, to be announced afterwards; None when the version is only a candidate.

    A candidate that waited is superseded by the next one, and by a promotion.
    """
    version = entrance.manifest.version
    tx.add_version(entrance.manifest)
    if entrance.place == CHAMPION:
        return deploy(rt, tx, version, entrance.memory, at=at, reason=reason, watch=entrance.trial)
    earlier = rt.store.alias(rt.name, Alias.CANDIDATE)
    tx.move_alias(rt.name, AliasMove(alias=Alias.CANDIDATE, version=version, previous=earlier, at=at, reason=reason))
    if entrance.trial is not None:
        save_trial(tx, rt.name, entrance.trial)
    body = {"version": version, "place": entrance.place, "superseded": earlier, "reason": reason}
    tx.add_event(rt.name, at, "candidate", body)
    return None

"""How versions beside the champion stand: which candidate waits, how far a trial is, what the last one has found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitor.app.ports import Store
from monitor.app.trial_state import load_trial
from monitor.domain.trial import Role
from monitor.domain.version import Alias


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStatus:
    """`windows` of `wanted` have labels; the losses are those of both on these, None before the first."""

    role: Role
    champion: int
    other: int
    windows: int
    wanted: int
    champion_loss: float | None = None
    other_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnd:
    """What the last trial has found about `version`: helped, no_difference or failed; promoted or rejected."""

    at: datetime
    version: int
    finding: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideStatus:
    candidate: int | None = None  # the version that waits, or is in shadow
    trial: TrialStatus | None = None
    last_trial: TrialEnd | None = None


def beside_status(store: Store, deployment: str) -> BesideStatus:
    return BesideStatus(
        candidate=store.alias(deployment, Alias.CANDIDATE),
        trial=_trial(store, deployment),
        last_trial=_last(store, deployment),
    )


def _trial(store: Store, deployment: str) -> TrialStatus | None:
    trial = load_trial(store, deployment)
    if trial is None or trial.champion != store.alias(deployment, Alias.CHAMPION):
        return None
    champion, other = trial.losses() if trial.pairs else (None, None)
    return TrialStatus(
        role=trial.role,
        champion=trial.champion,
        other=trial.other,
        windows=len(trial.pairs),
        wanted=trial.windows,
        champion_loss=champion,
        other_loss=other,
    )


def _last(store: Store, deployment: str) -> TrialEnd | None:
    found = store.events(deployment, event="trial_ended", last=1)
    if not found:
        return None
    event = found[0]
    return TrialEnd(
        at=datetime.fromisoformat(event["at"]),
        version=event["version"],
        finding=event["finding"],
        reason=event["reason"],
    )

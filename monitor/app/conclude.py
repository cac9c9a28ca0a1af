"""The end of a trial: the predecessor comes back, the promoted version stays, or the candidate takes over.

What was found is in the state since the last batch was recorded; acting on it is one transaction. A process that dies
in between acts at its next start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from monitor.app.champion import announce, announce_return, deploy, first_memory, take_back, watch_after
from monitor.app.memory import DetectorMemory, RetrainMemory
from monitor.app.ports import Transaction
from monitor.app.runtime import Runtime
from monitor.app.trial_state import save_trial
from monitor.app.trials import finding, running_trial
from monitor.domain.policy import PolicyState, helped, made_no_difference, rolled_back
from monitor.domain.trial import PROMOTED, REJECTED, Concluded, Finding, Role, Trial, admitted
from monitor.domain.version import Alias, AliasMove

_EFFECT = {Finding.HELPED: helped, Finding.NO_DIFFERENCE: made_no_difference, Finding.FAILED: rolled_back}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What became of a trial; `champion` is the version that is deployed from now on."""

    role: Role
    finding: str  # one of `FINDINGS`
    version: int
    other: int
    champion: int
    reason: str
    windows: int
    answered: bool  # an alarm stood when the attempt was made

    def to_dict(self) -> dict[str, Any]:
        return {
            "role": self.role.value,
            "finding": self.finding,
            "version": self.version,
            "other": self.other,
            "champion": self.champion,
            "reason": self.reason,
            "windows": self.windows,
            "answered": self.answered,
        }


def conclude_trial(rt: Runtime) -> Conclusion | None:
    """Act on the running trial once its windows have decided; None while they have not, or there is none."""
    champion = rt.champion()
    trial = None if champion is None else running_trial(rt, champion)
    if champion is None or trial is None:
        return None
    found = finding(rt, trial, DetectorMemory.load(rt.kept, rt.name, champion.version))
    if found is None:
        return None
    now = rt.latest or rt.clock()
    end = _end_of_watch if trial.role is Role.PREDECESSOR else _end_of_shadow
    conclusion = end(rt, trial, found, now)
    rt.beside.close()
    rt.log.info("trial_ended", deployment=rt.name, **conclusion.to_dict())
    return conclusion


def _end_of_watch(rt: Runtime, trial: Trial, found: Concluded, now: datetime) -> Conclusion:
    failed = found.finding is Finding.FAILED
    memory = RetrainMemory.load(rt.kept, rt.name)
    memory = replace(memory, policy=_EFFECT[found.finding](memory.policy), pending=None if failed else memory.pending)
    conclusion = _conclusion(
        trial, found.finding.value, found.reason, champion=trial.other if failed else trial.champion
    )
    move: AliasMove | None = None
    with rt.transaction() as tx:
        if failed:
            move = take_back(rt, tx, trial.other, at=now, reason=f"version {trial.champion} failed: {found.reason}")
        _close(rt, tx, conclusion, memory, now)
    if move is not None:
        announce_return(rt, move)
    return conclusion


def _end_of_shadow(rt: Runtime, trial: Trial, found: Concluded, now: datetime) -> Conclusion:
    """The gate compares what both have shown on the same rows; it refuses a candidate that could not score them."""
    passed, reason = False, found.reason
    if found.finding is not Finding.BROKEN:
        passed, reason = admitted(trial, rt.config.gate.kind, rt.config.gate.margin)
    manifest = rt.store.manifest(rt.name, trial.other) if passed else None
    word, version = (PROMOTED, trial.other) if manifest is not None else (REJECTED, trial.champion)
    conclusion = _conclusion(trial, word, reason, champion=version)
    memory = RetrainMemory.load(rt.kept, rt.name)
    move: AliasMove | None = None
    detector = first_memory(rt, manifest) if manifest is not None else None
    watch = _with_answer(watch_after(rt, trial.other, trial.trigger), trial) if manifest is not None else None
    with rt.transaction() as tx:
        _close(rt, tx, conclusion, replace(memory, policy=_after_shadow(memory.policy, passed=passed)), now)
        if detector is not None:
            move = deploy(rt, tx, trial.other, detector, at=now, reason=reason, watch=watch)
        else:
            _withdraw(rt, tx, trial.other, now, reason)
    if move is not None:
        announce(rt, move)
    return conclusion


def _with_answer(watch: Trial | None, shadow: Trial) -> Trial | None:
    """The alarm that was answered is the one that stood at the attempt."""
    return None if watch is None else replace(watch, answered=watch.answered or shadow.answered)


def _after_shadow(policy: PolicyState, *, passed: bool) -> PolicyState:
    return replace(policy, last_promoted=True) if passed else policy


def _conclusion(trial: Trial, word: str, reason: str, *, champion: int) -> Conclusion:
    watched = trial.role is Role.PREDECESSOR
    return Conclusion(
        role=trial.role,
        finding=word,
        version=trial.champion if watched else trial.other,
        other=trial.other if watched else trial.champion,
        champion=champion,
        reason=reason,
        windows=len(trial.pairs),
        answered=trial.answered,
    )


def _close(rt: Runtime, tx: Transaction, conclusion: Conclusion, memory: RetrainMemory, now: datetime) -> None:
    save_trial(tx, rt.name, None)
    memory.save(tx, rt.name)
    tx.add_event(rt.name, now, "trial_ended", conclusion.to_dict())


def _withdraw(rt: Runtime, tx: Transaction, version: int, now: datetime, reason: str) -> None:
    if rt.store.alias(rt.name, Alias.CANDIDATE) == version:
        tx.move_alias(rt.name, AliasMove(alias=Alias.CANDIDATE, version=None, previous=version, at=now, reason=reason))

"""When does evidence become an attempt to retrain? A state machine: no clock, no I/O, no logging.

An attempt is due when enough new labelled rows have come; a change on a channel that may cause retraining brings it
forward, and so does a lasting distance from the training reference. Alarms alone are a poor policy: much of the gain
of a retrain is simply more and fresher labels, and at the moment of an alarm there are almost no rows from after the
change. So an open alarm is tried again later.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from monitor.domain.batch import aware

_WEEK = timedelta(days=7)
_BACKOFF_BATCHES = (3, 6, 12)  # after an attempt that did not promote, or did not clear the alarm


class Decision(StrEnum):
    """What to do now; the value is also the journal's word and the metric label."""

    IDLE = "idle"
    WAIT_DATA = "wait_data"  # bad or too little data: nothing can be concluded from this batch
    WAIT_LABELS = "wait_labels"  # due, but not enough matured labels
    WAIT_COOLDOWN = "wait_cooldown"  # an attempt is too recent
    WAIT_BACKOFF = "wait_backoff"  # earlier attempts did not help: wait longer
    WAIT_BUDGET = "wait_budget"  # this week's attempts are used up
    WATCH = "watch"  # drift on a channel that may not cause a retrain
    RETRAIN = "retrain"
    ASK_LABELS = "ask_labels"  # labels are held until a human says whether they are right
    ESCALATE = "escalate"  # retraining does not help: a human is needed
    OFF = "off"  # an attempt would be due, but retraining is switched off


class Trigger(StrEnum):
    """Why an attempt is made."""

    NEW_LABELS = "new_labels"
    CHANGE = "change"
    DISTANCE = "distance"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """Operator intent, from the deployment file."""

    enabled: bool
    new_labels: int  # rows since the last attempt that make one due
    min_labels: int  # never try with fewer new labelled rows than this
    min_batches: int  # nor with labels of fewer batches
    on_change: bool
    on_distance: bool
    cooldown_batches: int
    max_per_week: int
    max_failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the policy is shown once per step. `alarm`: channels in drift that may cause a retrain."""

    now: datetime
    judged: bool  # False for bad or insufficient data
    alarm: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()  # channels in drift that may not
    beyond: tuple[str, ...] = ()  # channels too far from the training reference
    new_labels: int = 0  # labelled rows that no attempt has used yet
    new_batches: int = 0  # batches they come from

    def __post_init__(self) -> None:
        aware(self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """All that is remembered between two steps; stored as is."""

    batches: int = 0  # judged or not, since the beginning
    last_attempt: int | None = None  # `batches` at that time
    attempts: tuple[datetime, ...] = ()  # of the last week
    last_promoted: bool = True  # or there was no attempt yet
    failures: int = 0  # attempts since the alarm opened, or since a promotion without alarm, that did not help

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "attempts": [at.isoformat() for at in self.attempts]}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> PolicyState:
        return cls(**{**plain, "attempts": tuple(datetime.fromisoformat(at) for at in plain["attempts"])})


@dataclass(frozen=True, slots=True)
class Decided:
    decision: Decision
    reason: str
    trigger: Trigger | None = None


def observe(state: PolicyState, seen: Seen) -> PolicyState:
    """Count a batch; without an open alarm earlier failures are forgiven once a batch was judged."""
    healthy = seen.judged and not seen.alarm
    return replace(state, batches=state.batches + 1, failures=0 if healthy and _calm(state) else state.failures)


def decide(state: PolicyState, seen: Seen, rule: PolicyRule) -> Decided:
    """Return what to do; the same inputs give the same answer. `observe` and `attempted` move the state."""
    if not seen.judged:
        return Decided(Decision.WAIT_DATA, "this batch could not be judged")
    trigger, why = _trigger(state, seen, rule)
    if trigger is None:
        if seen.watched:
            return Decided(Decision.WATCH, f"drift on {', '.join(seen.watched)}, which may not cause a retrain")
        if seen.alarm:
            return Decided(Decision.WATCH, why)
        return Decided(Decision.IDLE, why)
    if not rule.enabled:
        return Decided(Decision.OFF, f"{why}; retraining is off")
    return _allowed(state, seen, rule, trigger, why)


def _trigger(state: PolicyState, seen: Seen, rule: PolicyRule) -> tuple[Trigger | None, str]:
    """Enough new labels make an attempt due whatever else is known; alarm and distance only bring it forward.

    Distance is a state and may last: it does so once, until a promotion has moved the reference.
    """
    if seen.new_labels >= rule.new_labels:
        return Trigger.NEW_LABELS, f"{seen.new_labels} new labelled rows"
    if seen.alarm and rule.on_change:
        return Trigger.CHANGE, f"drift on {', '.join(seen.alarm)}"
    if seen.beyond and rule.on_distance and state.last_promoted and 2 * seen.new_labels >= rule.new_labels:
        return Trigger.DISTANCE, f"{', '.join(seen.beyond)} too far from the reference"
    return None, f"{seen.new_labels} of {rule.new_labels} new labelled rows"


def _allowed(state: PolicyState, seen: Seen, rule: PolicyRule, trigger: Trigger, why: str) -> Decided:
    if trigger is Trigger.CHANGE and state.failures >= rule.max_failures:
        return Decided(Decision.ESCALATE, f"{why}; {state.failures} attempts did not help", trigger)
    if seen.new_labels < rule.min_labels or seen.new_batches < rule.min_batches:
        return Decided(
            Decision.WAIT_LABELS,
            f"{why}; {seen.new_labels} of {rule.min_labels} labelled rows, "
            f"{seen.new_batches} of {rule.min_batches} batches",
            trigger,
        )
    if state.last_attempt is not None:
        waited = state.batches - state.last_attempt
        backoff = _backoff(state) if trigger is Trigger.CHANGE else 0
        pause = max(rule.cooldown_batches, backoff)
        if waited < pause:
            kind = Decision.WAIT_BACKOFF if waited >= rule.cooldown_batches else Decision.WAIT_COOLDOWN
            return Decided(kind, f"{why}; {waited} of {pause} batches since the last attempt", trigger)
    recent = sum(1 for at in state.attempts if seen.now - at < _WEEK)
    if recent >= rule.max_per_week:
        return Decided(Decision.WAIT_BUDGET, f"{why}; {recent} attempts within a week", trigger)
    return Decided(Decision.RETRAIN, why, trigger)


def attempted(state: PolicyState, now: datetime, *, promoted: bool, alarm: bool) -> PolicyState:
    """Remember an attempt. One that promoted still counts as a failure while the alarm it answered stays open."""
    helped = promoted and not alarm
    return replace(
        state,
        last_attempt=state.batches,
        last_promoted=promoted,
        attempts=(*(at for at in state.attempts if now - at < _WEEK), aware(now)),
        failures=0 if helped else state.failures + 1,
    )


def _backoff(state: PolicyState) -> int:
    """Batches to wait before an alarm is answered again."""
    return _BACKOFF_BATCHES[min(state.failures, len(_BACKOFF_BATCHES)) - 1] if state.failures else 0


def _calm(state: PolicyState) -> bool:
    """An alarm closes by the very promotion that answers it: only later batches tell whether it helped."""
    return state.last_attempt is None or state.batches - state.last_attempt >= _BACKOFF_BATCHES[0]

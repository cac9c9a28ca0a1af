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
    WAIT_SHADOW = "wait_shadow"  # a candidate is being scored beside the champion
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
    shadow: str = ""  # the candidate that is being scored beside the champion, in words
    on_watch: bool = False  # the last promotion answered an alarm, and is not yet known to have helped

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
    taken_back: int = 0  # promotions in a row that failed on watch and were rolled back
    early: int = 0  # labelled rows that the last attempt lacked: distance had brought it forward

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
    healthy = seen.judged and not seen.alarm and not seen.on_watch
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

    Distance is a state and may last: it does so once, until a promotion has moved the reference; and the next attempt
    waits for the labels that this one lacked, unless an alarm brings it forward. So it makes attempts earlier, and not
    more frequent.
    """
    due = rule.new_labels + state.early
    if seen.new_labels >= due:
        return Trigger.NEW_LABELS, f"{seen.new_labels} new labelled rows"
    if seen.alarm and rule.on_change:
        return Trigger.CHANGE, f"drift on {', '.join(seen.alarm)}"
    far = bool(seen.beyond) and rule.on_distance and state.last_promoted and not state.early
    if far and 2 * seen.new_labels >= rule.new_labels:
        return Trigger.DISTANCE, f"{', '.join(seen.beyond)} too far from the reference"
    return None, f"{seen.new_labels} of {due} new labelled rows"


def _allowed(state: PolicyState, seen: Seen, rule: PolicyRule, trigger: Trigger, why: str) -> Decided:
    held = (
        _in_shadow(seen)
        or _given_up(state, rule, trigger)
        or _short_of_labels(seen, rule)
        or _too_soon(state, rule, trigger)
        or _over_budget(state, seen, rule)
    )
    decision, because = held or (Decision.RETRAIN, "")
    return Decided(decision, f"{why}; {because}" if because else why, trigger)


_Held = tuple[Decision, str] | None  # what to do instead of an attempt, and why


def _in_shadow(seen: Seen) -> _Held:
    return (Decision.WAIT_SHADOW, seen.shadow) if seen.shadow else None


def _given_up(state: PolicyState, rule: PolicyRule, trigger: Trigger) -> _Held:
    if state.taken_back >= rule.max_failures:
        return Decision.ESCALATE, f"{state.taken_back} promotions in a row were rolled back"
    if trigger is Trigger.CHANGE and state.failures >= rule.max_failures:
        return Decision.ESCALATE, f"{state.failures} attempts did not help"
    return None


def _short_of_labels(seen: Seen, rule: PolicyRule) -> _Held:
    if seen.new_labels >= rule.min_labels and seen.new_batches >= rule.min_batches:
        return None
    return (
        Decision.WAIT_LABELS,
        f"{seen.new_labels} of {rule.min_labels} labelled rows, {seen.new_batches} of {rule.min_batches} batches",
    )


def _too_soon(state: PolicyState, rule: PolicyRule, trigger: Trigger) -> _Held:
    if state.last_attempt is None:
        return None
    waited = state.batches - state.last_attempt
    pause = max(rule.cooldown_batches, _backoff(max(state.failures * (trigger is Trigger.CHANGE), state.taken_back)))
    if waited >= pause:
        return None
    kind = Decision.WAIT_BACKOFF if waited >= rule.cooldown_batches else Decision.WAIT_COOLDOWN
    return kind, f"{waited} of {pause} batches since the last attempt"


def _over_budget(state: PolicyState, seen: Seen, rule: PolicyRule) -> _Held:
    recent = sum(1 for at in state.attempts if seen.now - at < _WEEK)
    return (Decision.WAIT_BUDGET, f"{recent} attempts within a week") if recent >= rule.max_per_week else None


def attempted(state: PolicyState, now: datetime, *, promoted: bool | None, alarm: bool, early: int = 0) -> PolicyState:
    """Remember an attempt. One that promoted still counts as a failure while the alarm it answered stays open.

    `promoted`: None while a person or a trial has yet to say so, which is neither a success nor a failure. `early`:
    rows that distance has brought it forward by.
    """
    failures = state.failures if promoted is None else 0 if promoted and not alarm else state.failures + 1
    return replace(
        state,
        last_attempt=state.batches,
        last_promoted=bool(promoted),
        early=early,
        attempts=(*(at for at in state.attempts if now - at < _WEEK), aware(now)),
        failures=failures,
    )


def helped(state: PolicyState) -> PolicyState:
    """The windows after a promotion say that it helped: what failed before is forgiven."""
    return replace(state, failures=0, taken_back=0)


def made_no_difference(state: PolicyState) -> PolicyState:
    """A promotion stood its watch without being better: it was no failure, and no answer to an alarm."""
    return replace(state, taken_back=0)


def rolled_back(state: PolicyState) -> PolicyState:
    """A promotion failed on watch: the next attempt has to wait as after any that did not help."""
    return replace(
        state,
        last_attempt=state.batches,
        last_promoted=False,
        failures=state.failures + 1,
        taken_back=state.taken_back + 1,
    )


def _backoff(failures: int) -> int:
    """Batches to wait after so many attempts that did not help."""
    return _BACKOFF_BATCHES[min(failures, len(_BACKOFF_BATCHES)) - 1] if failures else 0


def _calm(state: PolicyState) -> bool:
    """An alarm closes by the very promotion that answers it: only later batches tell whether it helped."""
    return state.last_attempt is None or state.batches - state.last_attempt >= _BACKOFF_BATCHES[0]

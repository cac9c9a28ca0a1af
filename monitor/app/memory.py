"""What a deployment remembers between two batches, as stored: the policy's part, and the detector's per version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np

from monitor.app.error_history import ErrorHistory
from monitor.app.ports import States, Transaction
from monitor.domain.batch import Window
from monitor.domain.policy import PolicyState, Trigger
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict

_POLICY = "policy"
_WATCHED = "watched"
_ERRORS = "errors"
_STARTS = 51  # windows whose median distance is the interval between batches


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainMemory:
    """`record`: discounted losses per candidate; `rows_used`, `batches_used`: labels that attempts have seen;
    `pending`: an attempt that was decided and not yet made (a crash in between must not lose it).
    """

    policy: PolicyState = field(default_factory=PolicyState)
    record: Mapping[str, float] = field(default_factory=dict)
    rows_used: int = 0
    batches_used: int = 0
    pending: Trigger | None = None

    @classmethod
    def load(cls, states: States, deployment: str) -> RetrainMemory:
        body = states.state(deployment, _POLICY)
        if body is None:
            return cls()
        plain = json.loads(body)
        pending = plain.pop("pending")
        policy = PolicyState.from_dict(plain.pop("policy"))
        return cls(policy=policy, pending=Trigger(pending) if pending else None, **plain)

    def save(self, tx: Transaction, deployment: str) -> None:
        plain = {
            "policy": self.policy.to_dict(),
            "record": dict(self.record),
            "rows_used": self.rows_used,
            "batches_used": self.batches_used,
            "pending": self.pending,
        }
        tx.put_state(deployment, _POLICY, json.dumps(plain).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorMemory:
    """What the rules remember. Of a model version, and back after a rollback: `streaks` of differing batches, `states`
    of the budgeted detectors, `errors` for the error-rate monitor, the `last` verdict per channel and the channels
    `beyond` their distance. Of the deployment whatever its version: `starts` of the last windows, and `counts`, alarms
    and judged batches per channel.
    """

    streaks: Mapping[Channel, int] = field(default_factory=dict)
    states: Mapping[Channel, bytes] = field(default_factory=dict)
    last: Mapping[Channel, Verdict] = field(default_factory=dict)
    beyond: tuple[Channel, ...] = ()
    starts: tuple[float, ...] = ()
    counts: Mapping[Channel, tuple[int, int]] = field(default_factory=dict)
    errors: ErrorHistory = field(default_factory=ErrorHistory)

    @classmethod
    def load(cls, states: States, deployment: str, version: int) -> DetectorMemory:
        own = json.loads(states.state(deployment, _key(version)) or b"{}")
        common = json.loads(states.state(deployment, _WATCHED) or b"{}")
        return cls(
            streaks={Channel(name): count for name, count in own.get("streaks", {}).items()},
            states={Channel(c): states.state(deployment, _key(version, c)) or b"" for c in own.get("states", [])},
            last={Channel(name): Verdict(verdict) for name, verdict in own.get("last", {}).items()},
            beyond=tuple(Channel(name) for name in own.get("beyond", [])),
            starts=tuple(common.get("starts", ())),
            counts={Channel(name): (raised, judged) for name, (raised, judged) in common.get("counts", {}).items()},
            errors=ErrorHistory.from_bytes(states.state(deployment, _key(version, _ERRORS))),
        )

    @classmethod
    def exists(cls, states: States, deployment: str, version: int) -> bool:
        """Whether this version was ever the champion."""
        return states.state(deployment, _key(version)) is not None

    def save(self, tx: Transaction, deployment: str, version: int) -> None:
        own = {
            "streaks": dict(self.streaks),
            "states": list(self.states),
            "last": dict(self.last),
            "beyond": list(self.beyond),
        }
        tx.put_state(deployment, _key(version), json.dumps(own).encode())
        for channel, state in self.states.items():
            tx.put_state(deployment, _key(version, channel), state)
        if self.errors.errors.size or self.errors.alarm:
            tx.put_state(deployment, _key(version, _ERRORS), self.errors.to_bytes())
        common = {"starts": list(self.starts), "counts": dict(self.counts)}
        tx.put_state(deployment, _WATCHED, json.dumps(common).encode())

    def of_next_version(self, states: Mapping[Channel, bytes]) -> DetectorMemory:
        """A promoted model's memory: what is the deployment's, and the states that it starts from."""
        return DetectorMemory(states=states, starts=self.starts, counts=self.counts)

    def seen(self, window: Window) -> DetectorMemory:
        """With one more batch, for the interval between batches."""
        return replace(self, starts=(*self.starts, window.start.timestamp())[-_STARTS:])

    def interval(self, default: timedelta) -> timedelta:
        """Median time from one batch's start to the next one's; before there are two, `default`."""
        gaps = np.diff(np.sort(np.array(self.starts)))
        gaps = gaps[gaps > 0]
        return timedelta(seconds=float(np.median(gaps))) if gaps.size else default

    def after(
        self, verdict: ChannelVerdict, *, streak: int = 0, state: bytes | None = None
    ) -> tuple[DetectorMemory, ChannelVerdict]:
        """What comes next, and the verdict with its counts; `insufficient_data` leaves the last verdict standing."""
        channel, last = verdict.channel, dict(self.last)
        raised, judged = self.counts.get(channel, (0, 0))
        if verdict.verdict is not Verdict.INSUFFICIENT_DATA:
            new = verdict.raised or (verdict.verdict is Verdict.DRIFT and last.get(channel) is not Verdict.DRIFT)
            raised, judged = raised + new, judged + 1
            verdict = replace(verdict, raised=new)
            last[channel] = verdict.verdict
        beyond = tuple(
            c for c in Channel if (c in self.beyond and c is not channel) or (c is channel and verdict.beyond)
        )
        memory = replace(
            self,
            streaks={**self.streaks, channel: streak},
            states=self.states if state is None else {**self.states, channel: state},
            last=last,
            beyond=beyond,
            counts={**self.counts, channel: (raised, judged)},
        )
        return memory, replace(verdict, alarms=raised, judged=judged)

    @property
    def drifting(self) -> tuple[Channel, ...]:
        return tuple(channel for channel in Channel if self.last.get(channel) is Verdict.DRIFT)


def _key(version: int, channel: str = "") -> str:
    return f"detector:{version}:{channel}" if channel else f"detector:{version}"

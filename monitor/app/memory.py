"""What a deployment remembers between two batches, as stored: the policy's part, and the detector's per version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from monitor.app.ports import Store, Transaction
from monitor.domain.policy import PolicyState, Trigger
from monitor.domain.verdict import Channel, Verdict

_POLICY = "policy"


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
    def load(cls, store: Store, deployment: str) -> RetrainMemory:
        body = store.state(deployment, _POLICY)
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
    """Streaks of differing batches and the last verdict per channel, of one model version.

    It comes and goes with the version: a rollback brings it back as it was.
    """

    streaks: Mapping[Channel, int] = field(default_factory=dict)
    last: Mapping[Channel, Verdict] = field(default_factory=dict)

    @classmethod
    def load(cls, store: Store, deployment: str, version: int) -> DetectorMemory:
        body = store.state(deployment, _key(version))
        if body is None:
            return cls()
        plain = json.loads(body)
        return cls(
            streaks={Channel(name): count for name, count in plain["streaks"].items()},
            last={Channel(name): Verdict(verdict) for name, verdict in plain["last"].items()},
        )

    def save(self, tx: Transaction, deployment: str, version: int) -> None:
        plain = {"streaks": dict(self.streaks), "last": dict(self.last)}
        tx.put_state(deployment, _key(version), json.dumps(plain).encode())

    def after(self, channel: Channel, verdict: Verdict, streak: int) -> DetectorMemory:
        """A channel's new streak and verdict; `insufficient_data` leaves the last verdict standing."""
        last = dict(self.last)
        if verdict is not Verdict.INSUFFICIENT_DATA:
            last[channel] = verdict
        return replace(self, streaks={**self.streaks, channel: streak}, last=last)

    @property
    def drifting(self) -> tuple[Channel, ...]:
        return tuple(channel for channel in Channel if self.last.get(channel) is Verdict.DRIFT)


def _key(version: int) -> str:
    return f"detector:{version}"

"""An alarm of the budgeted detector stands until somebody says that they have seen it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from monitor.app.memory import DetectorMemory
from monitor.app.runtime import Runtime
from monitor.app.standard_state import save_standard
from monitor.app.standard_status import MissedStandard, missed_standard
from monitor.app.status import LOOK_BACK
from monitor.domain.verdict import Channel, Verdict
from monitor.errors import ConfigError

_ANY = timedelta(days=1)  # an interval that nothing of closing an alarm depends on


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A closed alarm: the batch that it was last seen on, why it stood, and the columns that it named."""

    channel: Channel
    batch: str | None
    alarm: str
    columns: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "channel": self.channel.value,
            "batch": self.batch,
            "alarm": self.alarm,
            "columns": list(self.columns),
        }


def acknowledge(rt: Runtime, channel: Channel | None, reason: str) -> tuple[Acknowledged, ...]:
    """Close the champion's standing alarm on `channel`, by default on all; returns those that were open.

    What inputs, predictions and class shares have moved to is ordinary from now on; performance is held to what the
    champion reached on its held-out rows, and no longer to an earlier standard that is missed. Under a rule whose
    alarms close by themselves only that can be given up: ConfigError when it is met, and without a champion.
    """
    missed = missed_standard(rt.kept, rt.config) if channel in (None, Channel.PERFORMANCE) else None
    latched = rt.config.detect.rule == "budget"
    if not latched and missed is None:
        raise ConfigError(
            f"{rt.name}: under rule `{rt.config.detect.rule}` an alarm closes by itself with the first batch that "
            "does not differ; there is nothing to acknowledge"
        )
    champion = rt.champion()
    if champion is None:
        raise ConfigError(f"{rt.name}: no model yet, so no alarm; the first one is trained at the first pass")
    memory = DetectorMemory.load(rt.kept, rt.name, champion.version)
    standing = [drifting for drifting in memory.drifting if latched and channel in (None, drifting)]
    closed = tuple(_seen(rt, drifting) for drifting in standing)
    if missed is not None and Channel.PERFORMANCE not in standing:
        closed += (_given_up(missed),)
    if not closed:
        return ()
    for drifting in standing:
        state = champion.watch.acknowledged(drifting, memory.states.get(drifting, b""), memory.interval(_ANY))
        memory = _without_alarm(memory, drifting, state)
    now = rt.clock()
    with rt.transaction() as tx:
        memory.save(tx, rt.name, champion.version)
        if missed is not None:
            save_standard(tx, rt.name, None)
        for one in closed:
            body = {**one.to_dict(), "version": champion.version, "reason": reason}
            tx.add_event(rt.name, now, "acknowledged", body)
    for one in closed:
        rt.log.info("acknowledged", deployment=rt.name, channel=one.channel.value, alarm=one.alarm, reason=reason)
    return closed


def _without_alarm(memory: DetectorMemory, channel: Channel, state: bytes) -> DetectorMemory:
    """One for performance below its floor was raised by no detector: then there may be no state."""
    states = {**memory.states, channel: state} if state else memory.states
    errors = memory.errors.closed() if channel is Channel.PERFORMANCE else memory.errors
    return replace(memory, states=states, errors=errors, last={**memory.last, channel: Verdict.OK})


def _seen(rt: Runtime, channel: Channel) -> Acknowledged:
    for record in reversed(rt.store.records(rt.name, last=LOOK_BACK)):
        verdict = record["verdicts"].get(channel.value)
        if verdict is not None and verdict["verdict"] == Verdict.DRIFT:
            columns = tuple(dict.fromkeys(column["name"] for column in verdict["columns"]))
            return Acknowledged(channel=channel, batch=record["batch"], alarm=verdict["reason"], columns=columns)
    return Acknowledged(channel=channel, batch=None, alarm="", columns=())


def _given_up(missed: MissedStandard) -> Acknowledged:
    alarm = f"worse than the loss of {missed.standard:.4g} that version {missed.version} had promised"
    return Acknowledged(channel=Channel.PERFORMANCE, batch=missed.since, alarm=alarm, columns=())

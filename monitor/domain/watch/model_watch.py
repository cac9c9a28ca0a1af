"""The budgeted detector of one model version: four channels, one budget each, states as bytes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from monitor.domain.batch import Window
from monitor.domain.model_reference import ModelReference
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict
from monitor.domain.watch.channel_watch import ChannelWatch
from monitor.domain.watch.loss_streams import loss_rule
from monitor.domain.watch.pieces import Pieces
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.rule import WatchRule
from monitor.domain.watch.streams import Observation
from monitor.errors import OtherSettingsError

_WORTH_KEEPING = 2**18  # bytes: what takes longer to read also takes more memory to keep


class ModelWatch:
    """`update` is a pure function of the stored state and the batch: a restart changes no later number.

    `zone` is the one that the season's phases are in. Calendar columns are not watched unless `watch_calendar`.
    """

    def __init__(
        self,
        reference: ModelReference,
        rule: WatchRule,
        *,
        min_loss_increase: float,
        zone: tzinfo,
        watch_calendar: bool = False,
    ) -> None:
        self._zone = zone
        calendar = () if watch_calendar else reference.calendar
        leave_out = [name for name in reference.inputs.columns if name in calendar or not rule.watches(name)]
        self.streams = reference.streams(leave_out)
        self._warm_up = {**reference.warm_up, Channel.INPUTS: _without(reference, leave_out)}
        of_loss = loss_rule(rule.false_alarms, min_increase=min_loss_increase, rule=rule)
        self._plans = {
            channel: Plan.of(streams, of_loss if channel is Channel.PERFORMANCE else rule)
            for channel, streams in self.streams.sets.items()
        }
        self._latest: dict[Channel, tuple[bytes, ChannelWatch]] = {}

    def moment(self, window: Window) -> datetime:
        """What a batch's observations are dated by."""
        return window.start.astimezone(self._zone)

    def update(
        self, channel: Channel, state: bytes, seen: Observation, window: Window, interval: timedelta
    ) -> tuple[bytes, ChannelVerdict]:
        """The next state and the verdict. `interval`: from one batch to the next.

        Without a state, or with one of other settings, the watch starts over from the reference's own batches. Raises
        ArtefactError when the state is damaged.
        """
        if channel in self.streams.without:
            return b"", _cannot(channel, self.streams.without[channel])
        plan = self._plan(channel, interval)
        watch = self._resumed(channel, plan, state)
        if watch is None:
            watch = ChannelWatch(channel, plan)
            if rows := int(seen.rows.max(initial=0)):  # how long a batch is can be told from one with rows only
                watch.warm_up(self._warm_up[channel].batches(plan.streams, window, rows, self._zone))
        verdict = watch.update(seen)
        after = watch.state()
        if len(after) <= _WORTH_KEEPING:
            self._latest[channel] = after, watch
        return after, verdict

    def acknowledged(self, channel: Channel, state: bytes, interval: timedelta) -> bytes:
        """The state with its alarm closed; as it was when it holds none or belongs to other settings."""
        if channel in self.streams.without:
            return state
        watch = _restored(channel, self._plan(channel, interval), state)
        if watch is None:
            return state
        watch.acknowledge()
        return watch.state()

    def successor(self, channel: Channel, state: bytes, of: ModelWatch, interval: timedelta) -> bytes:
        """The first state of this promoted model's watch, with the scale that batches of `of`'s were seen to have."""
        if channel in self.streams.without or channel in of.streams.without:
            return b""
        watch = _restored(channel, of._plan(channel, interval), state)
        return b"" if watch is None else watch.succeeded(self._plan(channel, interval)).state()

    def _resumed(self, channel: Channel, plan: Plan, state: bytes) -> ChannelWatch | None:
        """The watch that `update` has left, when `state` is what it returned: then nothing need be read."""
        after, watch = self._latest.pop(channel, (b"", None))
        return watch.under(plan) if watch is not None and after == state else _restored(channel, plan, state)

    def _plan(self, channel: Channel, interval: timedelta) -> Plan:
        plan = self._plans[channel]
        return replace(plan, rule=replace(plan.rule, interval=interval))


def _restored(channel: Channel, plan: Plan, state: bytes) -> ChannelWatch | None:
    """None when there is no state yet, or the one there is belongs to other settings."""
    if not state:
        return None
    try:
        return ChannelWatch.restore(channel, plan, state)
    except OtherSettingsError:
        return None


def _without(reference: ModelReference, leave_out: Collection[str]) -> Pieces:
    pieces = reference.warm_up[Channel.INPUTS]
    if not leave_out:
        return pieces
    kept = [s.column not in leave_out for s in reference.streams().sets[Channel.INPUTS].streams]
    return replace(pieces, values=pieces.values[:, kept], rows=pieces.rows[:, kept])


def _cannot(channel: Channel, why: str) -> ChannelVerdict:
    return ChannelVerdict(channel=channel, verdict=Verdict.INSUFFICIENT_DATA, reason=why)

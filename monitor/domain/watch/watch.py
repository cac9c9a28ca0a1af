"""Library use of the detector, without a daemon: inputs against a reference, one profile per batch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import numpy as np

from monitor.domain.packed import pack, unpack
from monitor.domain.profile import Profile
from monitor.domain.reference import Reference
from monitor.domain.verdict import Channel, ChannelVerdict
from monitor.domain.watch.channel_watch import ChannelWatch
from monitor.domain.watch.column_streams import ColumnStreams
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.rule import FalseAlarmRate, Mode, WatchRule
from monitor.domain.watch.season import Season
from monitor.errors import DataError

_FORM, _VERSION = "watch", 1


class Watch:
    """Has something happened, and how far are we from where the model was trained?

    `false_alarms` is how often it may be wrong, over all columns together: `1 per year`, `1 per 365 batches`. A rate
    per time needs `interval` or a dated warm-up. `season` is what a batch's start explains. `leave_out` names columns
    that are not watched, such as `calendar_columns` finds. `max_distance` and `min_effect`: AUC scale or share.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        false_alarms: str = "1 per 365 batches",
        season: str = "none",
        mode: str = "normal",
        min_effect: float = 0.03,
        max_distance: float = 0.10,
        incidents: str | None = None,
        interval: timedelta | None = None,
        leave_out: Collection[str] = (),
    ) -> None:
        rule = WatchRule(
            false_alarms=FalseAlarmRate.parse(false_alarms),
            incidents=FalseAlarmRate.parse(incidents or false_alarms),
            season=Season(season),
            mode=Mode(mode),
            min_effect=min_effect,
            max_distance=max_distance,
            interval=interval,
        )
        self._begin(reference, rule, leave_out)

    def warm_up(self, batches: Iterable[tuple[datetime | None, Profile]]) -> None:
        """Start over from the reference's own batches, as (start, profile); better 30 than 15 of them.

        Without starts, from random parts of the reference's rows: then the dispersion between batches stays unknown
        (see `notes`) and is learnt from the first live batches. Raises DataError for profiles of another reference.
        """
        self._channel.warm_up(self._streams.observe(self._of_reference(profile).columns, at) for at, profile in batches)

    def update(self, profile: Profile, at: datetime | None = None) -> ChannelVerdict:
        """Judge one batch; `at` is its start, aware. Raises DataError for a profile of another reference."""
        return self._channel.update(self._streams.observe(self._of_reference(profile).columns, at))

    def acknowledge(self) -> None:
        """Close the standing alarm: the new level is ordinary from now on."""
        self._channel.acknowledge()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the promise, such as a warm-up without timestamps."""
        return self._channel.notes

    @property
    def achieved(self) -> tuple[int, int]:
        """Alarms raised and batches judged since the warm-up."""
        return self._channel.achieved

    def state(self) -> bytes:
        """Everything remembered, with the settings; `restore` continues from it bit for bit."""
        settings = {"rule": self._rule.to_dict(), "leave_out": list(self._leave_out)}
        return pack(_FORM, _VERSION, settings, {"channel": np.frombuffer(self._channel.state(), dtype=np.uint8)})

    @classmethod
    def restore(cls, reference: Reference, state: bytes) -> Watch:
        """As it was at `state()`. Raises ArtefactError for damaged bytes or another reference."""
        header, arrays = unpack(_FORM, _VERSION, state)
        rule = WatchRule.from_dict(header["rule"])
        watch = cls.__new__(cls)
        watch._begin(reference, rule, header["leave_out"])
        watch._channel = ChannelWatch.restore(Channel.INPUTS, watch._plan, arrays["channel"].tobytes())
        return watch

    def _begin(self, reference: Reference, rule: WatchRule, leave_out: Collection[str]) -> None:
        self._reference, self._rule, self._leave_out = reference, rule, tuple(leave_out)
        self._streams = ColumnStreams(reference.columns, reference.rows, leave_out=leave_out)
        self._plan = Plan.of(self._streams.set, rule)
        self._channel = ChannelWatch(Channel.INPUTS, self._plan)

    def _of_reference(self, profile: Profile) -> Profile:
        if profile.reference != self._reference.fingerprint:
            raise DataError("the profile was taken against another reference")
        return profile

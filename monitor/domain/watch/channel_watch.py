"""The detector of one channel: what the daemon keeps per deployment and channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from monitor.domain.verdict import Channel, ChannelVerdict, Verdict
from monitor.domain.watch.detector import advance, teach, threshold
from monitor.domain.watch.judge import judge
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.season import Season
from monitor.domain.watch.state import DetectorState
from monitor.domain.watch.state_bytes import dump, parse
from monitor.domain.watch.streams import Observation
from monitor.errors import ConfigError
from monitor.stats.sequential.regression import cap_dof

_PSEUDO_DOF = 4.0  # pseudo-batches say nothing about days: their scale counts as four residuals
UNDATED = "warmed up without timestamps or too few batches: the dispersion between batches will be learnt"


def step(
    plan: Plan, channel: Channel, state: DetectorState | None, seen: Observation
) -> tuple[DetectorState | None, ChannelVerdict]:
    """The next state and the verdict; the same inputs always give the same answer. None: nothing was ever seen.

    Raises ConfigError when the batch has no timestamp and the season, or a dated warm-up, needs one.
    """
    if seen.at is None and (plan.rule.season is not Season.NONE or (state is not None and state.interval > 0)):
        raise ConfigError("the batch has no timestamp: the season, or a warm-up with timestamps, needs one")
    usable = np.isfinite(seen.values) & (seen.rows > 0)
    if not usable.any():
        return state, _unjudged(channel, state)
    if state is None:
        state = plan.start(float(np.median(seen.rows[usable])))
    taken = advance(plan, state, seen)
    return judge(plan, state, taken, seen, channel)


def warm(plan: Plan, batches: Iterable[Observation]) -> DetectorState | None:
    """Learn from the reference's own batches, in order of time; all dated, or none (then in the order given)."""
    usable = [b for b in batches if np.isfinite(b.values).any()]
    dated = sum(b.at is not None for b in usable)
    if dated not in (0, len(usable)):
        raise ConfigError("warm-up: give a start for every batch, or for none")
    if not usable:
        return None
    if dated:
        usable.sort(key=lambda b: b.at.timestamp() if b.at else 0.0)
    rows = np.concatenate([b.rows[b.rows > 0] for b in usable])
    state = plan.start(float(np.median(rows)))
    for batch in usable:
        state = teach(plan, state, batch)
    if dated:
        return replace(state, interval=state.history.interval() or 0.0)
    pooled = state.pooled and replace(state.pooled, regression=cap_dof(state.pooled.regression, _PSEUDO_DOF))
    regression = cap_dof(state.regression, _PSEUDO_DOF)
    return replace(state, regression=regression, pooled=pooled, history=state.history.undated(), notes=(UNDATED,))


def _unjudged(channel: Channel, state: DetectorState | None) -> ChannelVerdict:
    latch = state.latch if state else None
    return ChannelVerdict(
        channel=channel,
        verdict=Verdict.INSUFFICIENT_DATA,
        reason="no rows to judge",
        columns=latch.columns if latch else (),
    )


class ChannelWatch:
    """`update` per batch, `acknowledge` when someone has seen the alarm; `state` and `restore` across restarts."""

    def __init__(self, channel: Channel, plan: Plan) -> None:
        self._channel = channel
        self._plan = plan
        self._state: DetectorState | None = None

    def warm_up(self, batches: Iterable[Observation]) -> None:
        """Start over from the reference's own batches: at least 4 more than there are regressors, better 30."""
        self._state = warm(self._plan, batches)

    def update(self, seen: Observation) -> ChannelVerdict:
        self._state, verdict = step(self._plan, self._channel, self._state, seen)
        return verdict

    def acknowledge(self) -> None:
        """Close the alarm and start collecting evidence from nothing; a guard that fired stays silent from now on."""
        if self._state is None or self._state.latch is None:
            return
        named = {(c.name, c.measure) for c in self._state.latch.columns}
        muted = np.array([(g.column, g.measure) in named for g in self._plan.streams.guards], dtype=bool)
        self._state = replace(
            self._state,
            latch=None,
            muted=self._state.muted | muted,
            pooled=self._state.pooled.forget() if self._state.pooled else None,
            evidence=replace(
                self._state.evidence,
                **{
                    name: np.zeros_like(self._state.evidence.detector)
                    for name in ("detector", "cusum", "error", "weight")
                },
            ),
        )

    def succeeded(self, plan: Plan) -> ChannelWatch:
        """The watch of a promoted model: a new level, nothing collected, but the scale that batches were seen to have.

        `plan` must have as many streams as before: this is for the loss, whose level is the new model's held-out loss.
        """
        watch = ChannelWatch(self._channel, plan)
        if self._state is not None:
            new, old = watch._plan.start(self._state.unit_rows), self._state
            watch._state = replace(
                new,
                regression=replace(new.regression, squares=old.regression.squares, dof=old.regression.dof),
                error_squares=old.error_squares,
                error_expected=old.error_expected,
                tail=old.tail,
                longrun=old.longrun.forget(np.ones(len(old.pending), dtype=bool)),
                interval=old.interval,
            )
        return watch

    def under(self, plan: Plan) -> ChannelWatch:
        """As `restore` gives it from `state()`; `plan` may have another interval."""
        watch = ChannelWatch(self._channel, plan)
        watch._state = self._state
        return watch

    def state(self) -> bytes:
        """Everything remembered; b"" before the first batch."""
        return b"" if self._state is None else dump(self._state, fingerprint=self._plan.fingerprint)

    @classmethod
    def restore(cls, channel: Channel, plan: Plan, state: bytes) -> ChannelWatch:
        """As it was at `state()`, bit for bit. Raises ArtefactError when the bytes are damaged or of other streams."""
        watch = cls(channel, plan)
        watch._state = parse(state, fingerprint=watch._plan.fingerprint) if state else None
        return watch

    @property
    def notes(self) -> tuple[str, ...]:
        return self._state.notes if self._state else ()

    @property
    def achieved(self) -> tuple[int, int]:
        """Alarms raised and batches judged since the start: the rate to hold beside the promised one."""
        return (self._state.alarms, self._state.batches) if self._state else (0, 0)

    @property
    def batches_per_alarm(self) -> float | None:
        """The promised rate; None before the interval is known."""
        return threshold(self._plan, self._state) if self._state else None

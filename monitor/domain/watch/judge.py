"""From one step of the detector to a verdict: effect gate, latch, guards, incidents, distance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from scipy import special

from monitor.domain.verdict import Channel, ChannelVerdict, ColumnFinding, Verdict
from monitor.domain.watch.detector import Step, threshold
from monitor.domain.watch.plan import Plan
from monitor.domain.watch.state import DetectorState, Latch
from monitor.domain.watch.streams import Observation
from monitor.stats.sequential.distance import trailing
from monitor.stats.sequential.evidence import Evidence, blame, change, of_streams
from monitor.stats.sequential.regression import Array, reopen

_CONFIDENCE = 0.95
_PATIENCE_BATCHES = 28  # how long a change that is too small to act on may still grow into one that is not
_REOPENED = 1e4  # prior variance of a level that has moved, in units of the noise
_GUARDED_SHARE = 0.01  # of a batch's rows, in two batches running


@dataclass(frozen=True, slots=True)
class _Effect:
    """Shifts with their intervals on the scale that people read, shape (S,)."""

    shift: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, plan: Plan, value: Array, half: Array) -> _Effect:
        return cls(plan.natural(value), plan.natural(value - half), plan.natural(value + half))


def judge(
    plan: Plan, before: DetectorState, step: Step, seen: Observation, channel: Channel
) -> tuple[DetectorState, ChannelVerdict]:
    """Apply the threshold and everything after it; returns the state to keep and the verdict to record."""
    limit = threshold(plan, step.state)
    state = _cross(step, limit)
    state, alarm, small = _settle(plan, state, step, seen)
    state, guarded = _guard(plan, state, step, seen, limit=limit)
    state = _latch(state, alarm, guarded)
    raised = _names(state.latch) > _names(before.latch)
    state = replace(state, alarms=before.alarms + raised)
    verdict = Verdict.OK
    if state.latch is not None:
        verdict = Verdict.DRIFT
    elif not step.residuals.judged.any():
        verdict = Verdict.INSUFFICIENT_DATA
    reach, beyond = _distance(plan, state)
    columns = state.latch.columns if state.latch else ()
    return state, ChannelVerdict(
        channel=channel,
        verdict=verdict,
        reason=_reason(state, step, limit, small),
        evidence=_shown(state, step),
        threshold=limit,
        shift=max((c.shift for c in columns), key=abs, default=None),
        distance=reach,
        columns=columns,
        raised=raised,
        incidents=_incidents(plan, before, step, seen),
        beyond=beyond,
    )


def _shown(state: DetectorState, step: Step) -> float:
    """The evidence that the verdict rests on: that of the alarm while it stands."""
    if state.latch is not None:
        return state.latch.evidence
    return max(step.evidence, state.pending_evidence if state.pending.any() else 0.0)


def _reason(state: DetectorState, step: Step, limit: float, small: tuple[ColumnFinding, ...]) -> str:
    if state.latch is not None:
        return state.latch.reason
    if small:
        return f"changed by less than min_effect: {', '.join(f'{c.name} {c.shift:+.3f}' for c in small)}"
    if not step.residuals.judged.any():
        return "no prediction for this batch: still learning how much batches differ, or it came too late"
    if state.pending.any():
        return "a change is certain, but not that it is larger than min_effect"
    return f"evidence {step.evidence:.3g} of {limit:.4g}"


def _cross(step: Step, limit: float) -> DetectorState:
    """Name the streams that moved once the mean evidence is enough; all evidence starts again from nothing."""
    state = step.state
    if step.evidence < limit:
        return state
    moved = np.zeros(len(state.pending), dtype=bool)
    moved[blame(of_streams(state.evidence), limit)] = True
    return replace(
        state,
        evidence=replace(state.evidence, detector=np.zeros_like(state.evidence.detector)),
        pooled=state.pooled.forget() if state.pooled else None,
        pending=state.pending | moved,
        pending_age=0,
        pending_evidence=step.evidence,
    )


def _settle(
    plan: Plan, state: DetectorState, step: Step, seen: Observation
) -> tuple[DetectorState, Latch | None, tuple[ColumnFinding, ...]]:
    """The effect gate: raise the alarm when an effect is surely large enough.

    A change that is surely smaller, or stays unclear for too long, is accepted without one; those are the findings.
    """
    if not state.pending.any():
        return state, None, ()
    moved = change(state.evidence)
    unit = plan.unit(state.unit_rows)
    scale = np.where(np.isfinite(step.residuals.scale), step.residuals.scale, np.inf)
    half = special.stdtrit(np.maximum(step.residuals.dof, 1.0), (1.0 + _CONFIDENCE) / 2.0) * scale
    half = half * moved.standard_error
    effect = _Effect.of(plan, moved.shift * unit, half * unit)
    clear = state.pending & ((effect.low > plan.min_effect) | (effect.high < -plan.min_effect))
    if not plan.rule.two_sided:
        clear &= effect.shift > 0
    strength = state.evidence.cusum.max(axis=1)
    since = moved.since if seen.at is not None else None
    if clear.any():
        findings = _findings(plan, np.where(clear, strength, -np.inf), effect, since)
        latch = Latch(
            since=seen.at,
            reason=f"evidence {state.pending_evidence:.3g} of {threshold(plan, state):.4g}",
            evidence=state.pending_evidence,
            columns=findings,
        )
        return _accept(plan, state, moved.since), latch, ()
    small = (np.maximum(np.abs(effect.low), np.abs(effect.high)) < plan.min_effect)[state.pending].all()
    if small or state.pending_age >= _PATIENCE_BATCHES:
        named = _findings(plan, np.where(state.pending, strength, -np.inf), effect, since)
        return _accept(plan, state, moved.since), None, named
    return replace(state, pending_age=state.pending_age + 1), None, ()


def _accept(plan: Plan, state: DetectorState, since: Array) -> DetectorState:
    """The regression learns the new level of every stream of the columns that moved; their evidence starts anew.

    The lags move to the new level at once: otherwise the change would come back, reversed, as they fill up.
    """
    moved = np.isin(plan.column, plan.column[state.pending])
    free = moved & (plan.anchor_rows == 0)
    keep = ~moved[:, None]
    kept = Evidence(
        detector=state.evidence.detector * keep,
        cusum=state.evidence.cusum * keep,
        since=state.evidence.since,
        error=state.evidence.error * keep,
        weight=state.evidence.weight * keep,
    )
    return replace(
        state,
        regression=reopen(state.regression, free, _REOPENED),
        history=state.history.moved(state.pending & free, since, _level_since(state, since)),
        evidence=kept,
        longrun=state.longrun.forget(moved),
        pooled=state.pooled.forget() if state.pooled else None,
        pending=np.zeros_like(state.pending),
        pending_age=0,
    )


def _level_since(state: DetectorState, since: Array) -> Array:
    """Mean of the trailing values that came since a time per stream, shape (S,)."""
    times = state.history.times[-len(state.trail) :]
    trail = state.trail[-len(times) :]
    recent = np.isfinite(trail) & (times[:, None] >= since)
    total = np.where(recent, trail, 0.0).sum(axis=0)
    return np.where(recent.any(axis=0), total / np.maximum(recent.sum(axis=0), 1), np.nan)


def _findings(plan: Plan, strength: Array, effect: _Effect, since: Array | None) -> tuple[ColumnFinding, ...]:
    """One finding per column, its strongest stream; strongest column first. −inf leaves a stream out."""
    found: dict[str, ColumnFinding] = {}
    for i in np.argsort(-strength, kind="stable"):
        if strength[i] == -np.inf:
            break
        stream = plan.streams.streams[i]
        finding = ColumnFinding(
            name=stream.column,
            measure=stream.name,
            shift=float(effect.shift[i]),
            low=float(effect.low[i]),
            high=float(effect.high[i]),
            since=None if since is None else datetime.fromtimestamp(float(since[i]), UTC),
        )
        found.setdefault(stream.column, finding)
    return tuple(found.values())


def _guard(
    plan: Plan, state: DetectorState, step: Step, seen: Observation, *, limit: float
) -> tuple[DetectorState, Latch | None]:
    """Columns that were constant (levels, missing values that were never seen): ≥ 1% of rows in two batches running."""
    outside = seen.outside >= _GUARDED_SHARE
    running = np.isfinite(state.outside_since)
    standing = {(c.name, c.measure) for c in state.latch.columns} if state.latch else set()
    found = tuple(
        ColumnFinding(
            name=guard.column,
            measure=guard.measure,
            shift=float(seen.outside[i]),
            since=datetime.fromtimestamp(float(state.outside_since[i]), UTC) if seen.at else None,
        )
        for i, guard in enumerate(plan.streams.guards)
        if outside[i] and running[i] and not state.muted[i] and (guard.column, guard.measure) not in standing
    )
    since = np.where(outside, np.where(running, state.outside_since, step.at), np.nan)
    state = replace(state, outside_since=np.where(np.isfinite(seen.outside), since, state.outside_since))
    if not found:
        return state, None
    reason = f"column {found[0].name!r}: {found[0].shift:.1%} of rows outside what the reference held"
    return state, Latch(since=seen.at, reason=reason, evidence=limit, columns=found)


def _names(latch: Latch | None) -> set[tuple[str, str]]:
    """An alarm that stands is a further one only when it names more: a loss that stays high renews it every time."""
    return {(c.name, c.measure) for c in latch.columns} if latch else set()


def _latch(state: DetectorState, *raised: Latch | None) -> DetectorState:
    """An alarm stays; a further one adds its columns."""
    for new in raised:
        if new is None:
            continue
        old = state.latch
        if old is None:
            state = replace(state, latch=new)
            continue
        names = {(c.name, c.measure) for c in new.columns}
        kept = tuple(c for c in old.columns if (c.name, c.measure) not in names)
        merged = replace(old, columns=kept + new.columns, evidence=max(old.evidence, new.evidence))
        state = replace(state, latch=merged)
    return state


def _incidents(plan: Plan, before: DetectorState, step: Step, seen: Observation) -> tuple[ColumnFinding, ...]:
    if not step.incident.any():
        return ()
    residuals, unit = step.residuals, plan.unit(before.unit_rows)
    half = special.stdtrit(np.maximum(residuals.dof, 1.0), (1.0 + _CONFIDENCE) / 2.0)
    half = half * residuals.scale * np.sqrt(residuals.variance_ratio)
    strength = np.where(step.incident, np.abs(residuals.z), -np.inf)
    since = None if seen.at is None else np.full(len(half), step.at)
    return _findings(plan, strength, _Effect.of(plan, residuals.error * unit, half * unit), since)


def _distance(plan: Plan, state: DetectorState) -> tuple[float | None, tuple[ColumnFinding, ...]]:
    """The farthest column's distance from the reference, and the columns that are surely beyond `max_distance`."""
    if state.warm_batches:
        origin = np.full(len(plan.variance), 1.0 / state.warm_batches)
    else:
        origin = np.full(len(plan.variance), state.unit_rows / max(plan.streams.reference_rows, 1))
    unit = plan.unit(state.unit_rows)
    reach = trailing(state.trail, state.dispersion, origin, _CONFIDENCE)
    known = np.isfinite(reach.mean)
    if not known.any():
        return None, ()
    effect = _Effect.of(plan, reach.mean * unit, (reach.high - reach.mean) * unit)
    near = np.where(known, np.maximum(effect.low, -effect.high), -np.inf)
    beyond = _findings(plan, np.where(near > plan.max_distance, near, -np.inf), effect, None)
    return float(np.abs(effect.shift[known]).max()), beyond

"""One step of the budgeted detector: a pure function of (plan, state, observation)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from monitor.domain.watch.plan import Plan
from monitor.domain.watch.rule import Mode
from monitor.domain.watch.season import Season
from monitor.domain.watch.state import DetectorState
from monitor.domain.watch.streams import Observation
from monitor.stats.sequential import conformal, tail
from monitor.stats.sequential.evidence import accumulate, bets, of_streams
from monitor.stats.sequential.regression import Array, Mask, Regression, Residuals, learn, predict

_CLIP = 3.0
_MOST_PER_BATCH = 3.9  # log evidence: max over λ of λ·3 − 1.05·λ²/2, of the shifts that are bet on
_SLIGHTEST = 0.25  # a batch cannot be known better than half its sampling error: floor of the residual variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one batch did to the detector, before any decision."""

    state: DetectorState
    residuals: Residuals
    evidence: float  # mean over the streams, a share of it pooled
    incident: Mask  # (S,) streams out of line on this one batch
    at: float


def advance(plan: Plan, state: DetectorState, seen: Observation) -> Step:
    """Judge a batch by what was known before it, then learn from it."""
    at = moment(state, seen.at)
    value = seen.values / plan.unit(state.unit_rows)
    ratio = _variance_ratio(state, seen.rows)
    lags = state.history.lags(at, _interval(plan, state))
    effect = _slot_effect(state, plan.rule.season, seen.at)
    x = plan.design(seen.at, lags, effect, seen.values, state.unit_rows)
    residuals = predict(state.regression, x, value, ratio, _SLIGHTEST)
    longest = _longest_incident(plan, state)
    gathered = _gather(plan, state, residuals, at, longest)
    incident, largest = _incident(plan, state, residuals)
    regression, learnt = learn(state.regression, residuals, ratio, longest)
    learnt = np.where(np.isnan(learnt), value, learnt)
    counted = residuals.judged.any()
    after = replace(
        gathered,
        regression=_bounded(regression, plan.level_bound(state.unit_rows)),
        tail=largest,
        history=state.history.add(at, learnt),
        batches=state.batches + int(counted),
        incidents=state.incidents + int(incident.any()),
    )
    after = _count_errors(after, state, residuals, ratio, seen.rows)
    after = _learn_season(after, plan.rule.season, seen.at, learnt - lags[:, -1])
    after = _trail(after, plan.rule.window, value - _slot_effect(after, plan.rule.season, seen.at))
    return Step(
        state=after,
        residuals=residuals,
        evidence=_total(plan, gathered),
        incident=incident,
        at=at,
    )


def teach(plan: Plan, state: DetectorState, seen: Observation) -> DetectorState:
    """Learn from a batch of the reference: nothing is judged, no evidence is gathered."""
    after = advance(plan, state, seen).state
    pooled = after.pooled.silenced() if after.pooled else None
    return replace(
        after, evidence=state.evidence, pooled=pooled, batches=0, incidents=0, warm_batches=state.warm_batches + 1
    )


def threshold(plan: Plan, state: DetectorState) -> float:
    """Batches per false alarm. Raises ConfigError for a rate per time while the interval is unknown."""
    return plan.rule.false_alarms.batches_per_alarm(_period(plan, state))


def _longest_incident(plan: Plan, state: DetectorState) -> int:
    """Batches in a row that evidence needs to reach the threshold on one stream: no new level is learnt before."""
    if plan.rule.false_alarms.batches is None and _period(plan, state) is None:
        return 1
    spread_over = len(plan.variance) * plan.components
    return int(np.ceil(np.log(threshold(plan, state) * max(spread_over, 1)) / _MOST_PER_BATCH))


def moment(state: DetectorState, at: datetime | None) -> float:
    """Seconds since 1970; without a timestamp, one after the batch before."""
    if at is not None:
        return at.timestamp()
    last = float(state.history.times[-1]) if len(state.history.times) else -1.0
    return last + 1.0 if np.isfinite(last) else 0.0


def _interval(plan: Plan, state: DetectorState) -> float | None:
    if plan.rule.interval is not None:
        return plan.rule.interval.total_seconds()
    return state.interval or None


def _period(plan: Plan, state: DetectorState) -> timedelta | None:
    seconds = _interval(plan, state)
    return None if seconds is None else timedelta(seconds=seconds)


def _variance_ratio(state: DetectorState, rows: Array) -> Array:
    """Variance of a batch of so many rows over that of a usual one: σ_b² + σ_w²/n, both estimated from the past."""
    between = np.maximum(state.error_squares - state.error_expected, 0.0) / np.maximum(state.regression.dof, 1.0)
    within = state.unit_rows / np.maximum(rows, 1.0)
    return (between + within) / (between + 1.0)


def _count_errors(
    after: DetectorState, before: DetectorState, residuals: Residuals, ratio: Array, rows: Array
) -> DetectorState:
    """Add to the sums that the dispersion between batches is estimated from, by the method of moments."""
    counted = after.regression.dof > before.regression.dof
    square = after.regression.squares - before.regression.squares
    expected = before.unit_rows / np.maximum(rows, 1.0)
    return replace(
        after,
        error_squares=before.error_squares + np.where(counted, square * ratio, 0.0),
        error_expected=before.error_expected + np.where(counted, expected, 0.0),
    )


def _total(plan: Plan, state: DetectorState) -> float:
    """The channel's evidence: a weighted mean of e-detectors is one."""
    own = float(of_streams(state.evidence).mean())
    if state.pooled is None:
        return own
    return (1.0 - plan.pooled_share) * own + plan.pooled_share * state.pooled.evidence


def _gather(plan: Plan, state: DetectorState, residuals: Residuals, at: float, longest: int) -> DetectorState:
    """The state with the batch's evidence added."""
    clipped = np.clip(residuals.z, -_CLIP, _CLIP)
    ranks = state.ranks
    if ranks is not None:
        size = np.abs(residuals.standard) if plan.rule.two_sided else residuals.standard
        factor = conformal.log_calibrated(conformal.p_values(ranks, size))[:, None]
        ranks = conformal.remember(ranks, size, residuals.judged)
    else:
        z = residuals.z if plan.rule.mode is Mode.FAST else clipped
        factor = bets(z, state.longrun.variance(), two_sided=plan.rule.two_sided)
    gathered = accumulate(
        state.evidence, factor, residuals.judged, at=at, error=residuals.error, variance_ratio=residuals.variance_ratio
    )
    pooled = state.pooled.add(clipped, residuals.judged, longest) if state.pooled else None
    longrun = state.longrun.add(clipped, residuals.judged)
    return replace(state, evidence=gathered, ranks=ranks, longrun=longrun, pooled=pooled)


def _incident(plan: Plan, state: DetectorState, residuals: Residuals) -> tuple[Mask, tail.LargestValues]:
    """Streams out of line, if the batch's largest score is rarer than the budget, by both tails."""
    size = residuals.z if not plan.rule.two_sided else np.abs(residuals.z)
    streams = int(residuals.judged.sum())
    nobody = np.zeros(len(size), dtype=bool)
    if streams == 0:
        return nobody, state.tail
    largest = float(size[residuals.judged].max())
    studentised = float((np.abs(residuals.standard) / residuals.scale)[residuals.judged].max())
    budget = _incident_budget(plan, state)
    remembered = state.tail.add(studentised)
    if max(tail.bonferroni_p(largest, streams), tail.empirical_p(state.tail, studentised)) > budget:
        return nobody, remembered
    return residuals.judged & (2.0 * streams * tail.normal_tail(size) <= budget), remembered


def _incident_budget(plan: Plan, state: DetectorState) -> float:
    period = _period(plan, state)
    if plan.rule.incidents.batches is None and period is None:
        return 0.0
    return 1.0 / plan.rule.incidents.batches_per_alarm(period)


def _bounded(regression: Regression, bound: Array) -> Regression:
    theta = regression.theta.copy()
    theta[:, 0] = np.clip(theta[:, 0], -bound, bound)
    return replace(regression, theta=theta)


def _slot_effect(state: DetectorState, season: Season, at: datetime | None) -> Array:
    """What the phase of `at` usually adds to the mean over the season, shape (S,); 0 while unknown."""
    if season is Season.NONE or at is None:
        return np.zeros(len(state.error_squares))
    means = state.season_sum / np.maximum(state.season_count, 1.0)  # 0 where the slot is unknown
    centre = means.sum(axis=0) / np.maximum(np.count_nonzero(state.season_count, axis=0), 1)
    slot = season.slot(at)
    return np.where(state.season_count[slot] > 0, means[slot] - centre, 0.0)


def _learn_season(state: DetectorState, season: Season, at: datetime | None, gap: Array) -> DetectorState:
    """`gap`: the batch relative to the mean of the 28 before, so that a wandering level is no season."""
    if season is Season.NONE or at is None:
        return state
    slot, use = season.slot(at), np.isfinite(gap)
    total, count = state.season_sum.copy(), state.season_count.copy()
    total[slot] += np.where(use, gap, 0.0)
    count[slot] += use
    return replace(state, season_sum=total, season_count=count)


def _trail(state: DetectorState, window: int, value: Array) -> DetectorState:
    trail = np.concatenate([state.trail, value[None, :]])[-window:]
    trailed = state.trailed + 1
    if trailed < window:
        return replace(state, trail=trail, trailed=trailed)
    return replace(state, trail=trail, trailed=0, dispersion=state.dispersion.add(trail))

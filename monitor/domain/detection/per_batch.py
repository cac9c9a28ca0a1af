"""The rule `per_batch`: each batch tested against the reference; adjusted p, a minimum effect, and a hold.

It answers "do these rows differ from the reference's rows?", so ordinary wander between batches counts as drift.
State is one number per channel: how many batches in a row differed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from monitor.domain.measures import Measure
from monitor.domain.verdict import Channel, ChannelVerdict, ColumnFinding, Verdict
from monitor.stats.multiplicity import holm

# Each test and the measures that say how large its finding is, in the unit of `min_effect`.
_EFFECTS: Mapping[str, tuple[str, ...]] = {"ks": ("location", "spread"), "chi2": ("linf",), "missing": ("missing",)}
_LARGEST_EVIDENCE = 300.0  # −log10 of the smallest double; a p-value of zero is not infinite evidence
_WORST_CONDITION = 1e3  # beyond it a sampling error of 0.1% in the predictions moves the prior by its whole range


@dataclass(frozen=True, slots=True, kw_only=True)
class PerBatchRule:
    """Thresholds. `alpha` is family-wise over one channel of one batch; `min_effect` on the AUC scale or in shares."""

    alpha: float
    min_effect: float
    min_loss_increase: float  # relative to the reference loss
    hold: int  # consecutive batches that must differ
    min_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorSeen:
    """The estimated class prior of a batch beside the reference's: p-value of the change, conditioning, shares.

    `estimate` is empty, and `reason` says why, when the shares cannot be told.
    """

    p_value: float
    condition: float
    reference: Mapping[str, float]
    estimate: Mapping[str, tuple[float, float, float]]  # class → share, low, high
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSeen:
    """Mean loss and its variance per row, in the reference (held-out) and in a matured window."""

    n_ref: int
    mean_ref: float
    variance_ref: float
    n_cur: int
    mean_cur: float
    variance_cur: float
    metric: str
    value: float
    below_floor: bool


def judge_columns(
    channel: Channel, measures: Iterable[Measure], rows: int, rule: PerBatchRule, streak: int
) -> tuple[ChannelVerdict, int]:
    """Judge inputs or predictions. Returns the verdict and the new streak; too few rows leave the streak as it is."""
    if rows < rule.min_rows:
        return _insufficient(channel, f"{rows} rows, need {rule.min_rows}"), streak
    by_key = {(m.column, m.measure): m for m in measures}
    tests = [m for m in by_key.values() if m.measure in _EFFECTS and m.p_value is not None]
    if not tests:
        return _insufficient(channel, "no column could be tested"), streak
    adjusted = holm([m.p_value for m in tests if m.p_value is not None])
    findings: dict[str, ColumnFinding] = {}
    for test, p in zip(tests, adjusted, strict=True):
        shift, measure = _shift(by_key, test)
        known = findings.get(test.column)
        if p <= rule.alpha and abs(shift) >= rule.min_effect and (known is None or abs(known.shift) < abs(shift)):
            findings[test.column] = ColumnFinding(name=test.column, measure=measure, shift=shift, p_value=float(p))
    columns = sorted(findings.values(), key=lambda f: -abs(f.shift))
    largest = max((_shift(by_key, test)[0] for test in tests), key=abs)
    what = f"{len(columns)} of {len({m.column for m in tests})} columns differ from the reference"
    p = float(min(adjusted))
    return _held(channel, rule, streak, drifting=bool(columns), what=what, p=p, shift=largest, columns=columns)


def judge_labels(seen: PriorSeen, rows: int, rule: PerBatchRule, streak: int) -> tuple[ChannelVerdict, int]:
    """Judge the estimated class prior."""
    channel = Channel.LABELS
    if rows < rule.min_rows:
        return _insufficient(channel, f"{rows} rows, need {rule.min_rows}"), streak
    if seen.reason:
        return _insufficient(channel, seen.reason), streak
    if not seen.condition <= _WORST_CONDITION:
        why = f"the model tells its classes apart too badly to estimate shares (condition {seen.condition:.3g})"
        return _insufficient(channel, why), streak
    moves = [
        ColumnFinding(name=name, measure="share", shift=share - seen.reference[name], low=low, high=high)
        for name, (share, low, high) in seen.estimate.items()
    ]
    moves.sort(key=lambda f: -round(abs(f.shift), 9))  # two classes move alike: rounding must not say which is first
    moved = [m for m in moves if abs(m.shift) >= rule.min_effect]
    drifting = seen.p_value <= rule.alpha and bool(moved)
    what = f"class shares moved by up to {abs(moves[0].shift):.3f}"
    columns, shift = moved if drifting else [], moves[0].shift
    return _held(channel, rule, streak, drifting=drifting, what=what, p=seen.p_value, shift=shift, columns=columns)


def judge_performance(seen: LossSeen, rule: PerBatchRule) -> ChannelVerdict:
    """Judge a matured window: one-sided Welch test of the mean loss, a minimum increase, and the operator's floor.

    No hold: labels come late enough, and a lost model is harm, not a hint of it.
    """
    channel = Channel.PERFORMANCE
    if seen.n_cur < rule.min_rows:
        return _insufficient(channel, f"{seen.n_cur} labelled rows, need {rule.min_rows}")
    rise = seen.mean_cur - seen.mean_ref
    error = math.sqrt(seen.variance_ref / max(seen.n_ref, 1) + seen.variance_cur / seen.n_cur)
    p = float(special.ndtr(-rise / error)) if error > 0 else (0.0 if rise > 0 else 1.0)
    relative = rise / seen.mean_ref if seen.mean_ref > 0 else math.copysign(math.inf, rise) if rise else 0.0
    significant = p <= rule.alpha and relative >= rule.min_loss_increase
    value = f"{seen.metric} {seen.value:.4g}"
    compared = f"{value}; loss {relative:+.0%} against the held-out rows"
    return ChannelVerdict(
        channel=channel,
        verdict=Verdict.DRIFT if significant or seen.below_floor else Verdict.OK,
        reason=f"{value} is worse than the floor" if seen.below_floor else compared,
        evidence=_evidence(p),
        threshold=_evidence(rule.alpha),
        shift=rise,
    )


def _held(
    channel: Channel,
    rule: PerBatchRule,
    streak: int,
    *,
    drifting: bool,
    what: str,
    p: float,
    shift: float,
    columns: Sequence[ColumnFinding] = (),
) -> tuple[ChannelVerdict, int]:
    streak = streak + 1 if drifting else 0
    held = streak >= rule.hold
    reason = what if held or not drifting else f"{what}, in {streak} of {rule.hold} batches in a row"
    verdict = ChannelVerdict(
        channel=channel,
        verdict=Verdict.DRIFT if drifting and held else Verdict.OK,
        reason=reason,
        evidence=_evidence(p),
        threshold=_evidence(rule.alpha),
        shift=shift,
        columns=tuple(columns),
    )
    return verdict, streak


def _shift(by_key: Mapping[tuple[str, str], Measure], test: Measure) -> tuple[float, str]:
    sizes = [by_key[test.column, name] for name in _EFFECTS[test.measure] if (test.column, name) in by_key]
    largest = max(sizes, key=lambda m: abs(m.effect), default=test)
    return (float(largest.effect), largest.measure) if math.isfinite(largest.effect) else (0.0, largest.measure)


def _insufficient(channel: Channel, reason: str) -> ChannelVerdict:
    return ChannelVerdict(channel=channel, verdict=Verdict.INSUFFICIENT_DATA, reason=reason)


def _evidence(p: float) -> float:
    return min(_LARGEST_EVIDENCE, -math.log10(p)) if p > 0 else _LARGEST_EVIDENCE

"""From rows, scores and labels to verdicts: the one place where the application meets the detection rule."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitor.app.estimate_performance import Expected
from monitor.app.memory import DetectorMemory
from monitor.app.ports import ErrorRate
from monitor.app.runtime import Champion
from monitor.app.scores_in import scores_in
from monitor.config.deployment import Deployment
from monitor.config.detection import DetectConfig, PerformanceConfig
from monitor.domain.batch import Window
from monitor.domain.detection.per_batch import (
    LossSeen,
    PerBatchRule,
    PriorSeen,
    judge_columns,
    judge_labels,
    judge_performance,
)
from monitor.domain.labels import class_codes
from monitor.domain.measure_catalogue import DEFAULT
from monitor.domain.measures import Measures
from monitor.domain.model import Scores
from monitor.domain.model_reference import ModelReference
from monitor.domain.profile import Profile
from monitor.domain.record import ClassShare
from monitor.domain.score_columns import CORRECTED, RAW
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict
from monitor.stats.label_shift import bbse
from monitor.stats.label_shift_em import Method, Shares
from monitor.stats.losses import absolute_error, correct, log_loss
from monitor.stats.moments import Moments
from monitor.stats.performance import Estimate, higher_is_better, metric_interval
from monitor.stats.skill import absolute_error_at_random, class_spread, log_loss_at_random, skill, value_spread

NO_FIT = 0.001  # p-value below which the scores do not fit the estimated class shares
_MOVED = 0.01  # p-value below which the shares have moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Verdicts on one batch, the detector's next memory, and what was measured on the way."""

    verdicts: Mapping[Channel, ChannelVerdict]
    memory: DetectorMemory
    exported: Mapping[Channel, Measures]  # those of `detect.export`
    label_prior: Mapping[str, ClassShare]
    label_fit: float | None  # p-value that the scores fit these shares
    corrected: bool = False  # the scores that were served are corrected for them
    expected: Expected = field(default_factory=Expected)


@dataclass(frozen=True, slots=True, eq=False)
class LabelsSeen:
    """Class shares of a batch without its labels, and its scores corrected for them where they have surely moved."""

    shares: Shares
    corrected: Scores | None


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """The rows of a window that have a label: their places, their scores, and their labels as codes or values."""

    at: npt.NDArray[np.int64]
    scores: Scores
    target: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Fit:
    """Of labels and scores, on the rows whose label the model could have given.

    `at_random`: what the loss would be if the same labels were dealt out to these rows at random; `spread`: how much
    the labels differ. A model that was asked for classes it has forgotten says nothing about their labels: both
    are NaN when that is most of the window.
    """

    loss: Moments
    at_random: float
    spread: float

    @property
    def skill(self) -> float:
        return skill(self.loss.mean, self.at_random)

    @property
    def error(self) -> float:
        """Standard error of the skill, by that of the mean loss; infinite for a single row."""
        if self.loss.n < 2 or not self.at_random > 0:  # noqa: PLR2004 - a variance needs two rows
            return math.inf
        return math.sqrt(_variance(self.loss) / self.loss.n) / self.at_random


@dataclass(frozen=True, slots=True)
class WindowMeasured:
    """The labelled rows of one window: the user's metric, and the loss that models are compared by.

    `fit`: how labels and scores fit; `raw` and `corrected` as in `record.Performance`.
    """

    estimate: Estimate
    loss: Moments
    fit: Fit
    labelled: LabelledScores
    raw: float | None
    corrected: float | None

    @property
    def shown(self) -> dict[str, float | None]:
        values: dict[str, float | None] = {
            "realised": self.estimate.value,
            "low": self.estimate.low,
            "high": self.estimate.high,
        }
        values |= {"raw": self.raw, "corrected": self.corrected}
        return {name: None if value is None or not math.isfinite(value) else value for name, value in values.items()}


def rule_of(config: DetectConfig) -> PerBatchRule:
    return PerBatchRule(
        alpha=config.alpha,
        min_effect=config.min_effect,
        min_loss_increase=config.min_loss_increase,
        hold=config.hold,
        min_rows=config.min_rows,
    )


def see_labels(reference: ModelReference, scores: Scores, method: Method) -> LabelsSeen | None:
    """None for regression. Shares that the scores do not fit, or that chance explains, are not corrected for."""
    shift = reference.label_shift
    if shift is None:
        return None
    shares = shift.estimate(scores, method)
    moved = shares.shift_p is not None and shares.shift_p < _MOVED
    fits = shares.fit_p is not None and shares.fit_p >= NO_FIT
    return LabelsSeen(shares, shift.correct(scores, shares.share) if moved and fits else None)


def judge_batch(
    champion: Champion,
    rows: pa.Table,
    scores: Scores,
    memory: DetectorMemory,
    *,
    labels: LabelsSeen | None,
    config: Deployment,
    window: Window,
) -> Judged:
    """Judge inputs, predictions and, for classes, the label prior of a scored batch."""
    reference = champion.reference
    profiles = reference.profiles(rows, scores)
    shares = None if labels is None else labels.shares
    memory = memory.seen(window)
    if config.detect.rule == "budget":
        interval = memory.interval(usual_interval(config, window))
        memory, verdicts = _within_budget(champion, profiles, scores, memory, window=window, interval=interval)
    else:
        measures = reference.compare(profiles, DEFAULT)
        seen = None
        if reference.confusion is not None and shares is not None:
            seen = _prior_seen(reference, reference.confusion, shares, scores)
        memory, verdicts = _each_for_itself(measures, seen, rows.num_rows, rule_of(config.detect), memory)
    known = {} if shares is None else _by_class(reference.classes, shares)
    return Judged(
        verdicts=verdicts,
        memory=memory,
        exported=reference.compare(profiles, config.detect.export),
        label_prior={name: ClassShare(share=s, low=lo, high=hi) for name, (s, lo, hi) in known.items()},
        label_fit=None if shares is None else shares.fit_p,
    )


def _within_budget(
    champion: Champion,
    profiles: Mapping[Channel, Profile],
    scores: Scores,
    memory: DetectorMemory,
    *,
    window: Window,
    interval: timedelta,
) -> tuple[DetectorMemory, dict[Channel, ChannelVerdict]]:
    watch, reference = champion.watch, champion.reference
    at = watch.moment(window)
    observed = {
        Channel.INPUTS: watch.streams.inputs(profiles[Channel.INPUTS], at),
        Channel.PREDICTIONS: watch.streams.predictions(profiles[Channel.PREDICTIONS], at),
    }
    if reference.confusion is not None:
        observed[Channel.LABELS] = watch.streams.labels(reference.predicted_counts(scores), at)
    verdicts = {}
    for channel, seen in observed.items():
        state, verdict = watch.update(channel, memory.states.get(channel, b""), seen, window, interval)
        memory, verdicts[channel] = memory.after(verdict, state=state)
    return memory, verdicts


def _each_for_itself(
    measures: Mapping[Channel, Measures], prior: PriorSeen | None, rows: int, rule: PerBatchRule, memory: DetectorMemory
) -> tuple[DetectorMemory, dict[Channel, ChannelVerdict]]:
    verdicts = {}
    for channel, measured in measures.items():
        verdict, streak = judge_columns(channel, measured, rows, rule, memory.streaks.get(channel, 0))
        memory, verdicts[channel] = memory.after(verdict, streak=streak)
    if prior is not None:
        verdict, streak = judge_labels(prior, rows, rule, memory.streaks.get(Channel.LABELS, 0))
        memory, verdicts[Channel.LABELS] = memory.after(verdict, streak=streak)
    return memory, verdicts


def usual_interval(config: Deployment, window: Window) -> timedelta:
    """From one batch to the next, before two have been seen: the window's length, else what the schedule says."""
    return (window.end - window.start) or config.schedule.every or timedelta(days=1)


def measure_window(
    scored: pa.Table,
    scores: Scores,
    labels: pa.Table,
    *,
    classes: tuple[str, ...],
    forgotten: Collection[str],
    id_column: str,
    config: PerformanceConfig,
) -> WindowMeasured:
    """Measure the rows of `scored` (with their `scores`) that have a label in `labels` (`id`, `label`).

    `classes` are those the model knows, `forgotten` those that an earlier version knew and it does not.
    """
    ids = scored.column(id_column).combine_chunks()
    at = pc.index_in(labels.column("id").combine_chunks(), value_set=ids).to_numpy(zero_copy_only=False)
    seen = scores[at]
    given = labels.column("label")
    target: npt.NDArray[Any] = class_codes(given.to_pylist(), classes) if classes else given.to_numpy()
    losses = log_loss(seen, target) if classes else absolute_error(seen, target)
    return WindowMeasured(
        metric_interval(config.metric, seen, target),
        Moments.of(losses),
        _class_fit(seen, target, losses, _none_of(given, forgotten)) if classes else _value_fit(seen, target, losses),
        LabelledScores(at, seen, target),
        *(_beside(scored, prefix, at, target, classes=classes, config=config) for prefix in (RAW, CORRECTED)),
    )


def _class_fit(
    scores: Scores, target: npt.NDArray[np.int64], losses: npt.NDArray[np.float64], asked: npt.NDArray[np.bool_]
) -> Fit:
    if 2 * asked.sum() < len(target):
        return Fit(Moments.of(losses[asked]), math.nan, math.nan)
    scores, target = scores[asked], target[asked]
    return Fit(Moments.of(losses[asked]), log_loss_at_random(scores, target), class_spread(target))


def _value_fit(scores: Scores, target: npt.NDArray[np.float64], losses: npt.NDArray[np.float64]) -> Fit:
    return Fit(Moments.of(losses), absolute_error_at_random(scores, target), value_spread(target))


def _none_of(labels: pa.ChunkedArray, forgotten: Collection[str]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.is_in(labels, value_set=pa.array(sorted(forgotten), pa.string())).to_numpy()
    return ~found


def _beside(
    scored: pa.Table,
    prefix: str,
    at: npt.NDArray[Any],
    target: npt.NDArray[Any],
    *,
    classes: tuple[str, ...],
    config: PerformanceConfig,
) -> float | None:
    """The metric of scores that were not served; None where there are none."""
    scores = scores_in(scored, prefix, classes)
    return None if scores is None else metric_interval(config.metric, scores[at], target).value


def judge_window(
    champion: Champion,
    seen: WindowMeasured,
    config: Deployment,
    memory: DetectorMemory,
    window: Window,
    *,
    error_rate: ErrorRate | None = None,
) -> tuple[ChannelVerdict, DetectorMemory]:
    """Judge a matured window of the champion's against its held-out rows, and with `error_rate` row by row."""
    value, floor, metric = seen.estimate.value, config.performance.floor, config.performance.metric
    below = floor is not None and (value < floor if higher_is_better(metric) else value > floor)
    if config.detect.rule == "budget":
        watch = champion.watch
        interval = memory.interval(usual_interval(config, window))
        observed = watch.streams.performance(seen.loss, watch.moment(window))
        before = memory.states.get(Channel.PERFORMANCE, b"")
        state, verdict = watch.update(Channel.PERFORMANCE, before, observed, window, interval)
        if below:
            verdict = replace(
                verdict, verdict=Verdict.DRIFT, reason=f"{metric} {value:.3g} is worse than the floor {floor:g}"
            )
    else:
        state, verdict = (
            None,
            judge_performance(_loss_seen(champion.reference.loss, seen, metric, below), rule_of(config.detect)),
        )
    if error_rate is not None:
        memory, verdict = _row_by_row(seen.labelled, verdict, memory, error_rate)
    memory, verdict = memory.after(verdict, state=state)
    return verdict, memory


def _row_by_row(
    labelled: LabelledScores, verdict: ChannelVerdict, memory: DetectorMemory, error_rate: ErrorRate
) -> tuple[DetectorMemory, ChannelVerdict]:
    """An alarm of the error rate stands like any other; that of the loss comes first."""
    errors = 1.0 - correct(labelled.scores, labelled.target)
    history, risen = memory.errors.after(errors.astype(np.float32), error_rate)
    memory = replace(memory, errors=history)
    if not history.alarm or verdict.verdict is Verdict.DRIFT:
        return memory, verdict
    return memory, replace(verdict, verdict=Verdict.DRIFT, reason=history.alarm, raised=risen)


def _loss_seen(reference: Moments, seen: WindowMeasured, metric: str, below_floor: bool) -> LossSeen:
    return LossSeen(
        n_ref=reference.n,
        mean_ref=reference.mean,
        variance_ref=_variance(reference),
        n_cur=seen.loss.n,
        mean_cur=seen.loss.mean,
        variance_cur=_variance(seen.loss),
        metric=metric,
        value=seen.estimate.value,
        below_floor=below_floor,
    )


def _prior_seen(
    reference: ModelReference, confusion: npt.NDArray[np.float64], shares: Shares, scores: Scores
) -> PriorSeen:
    """The test is that of the predicted classes: it assumes nothing about how the shares have moved."""
    classes = reference.classes
    tested = bbse(confusion, reference.predicted_counts(scores), reference.loss.n)
    return PriorSeen(
        p_value=tested.p_value if tested.p_value is not None else math.nan,
        condition=tested.condition,
        reason=tested.reason or shares.reason,
        reference=dict(zip(classes, confusion.sum(axis=0).tolist(), strict=True)),
        estimate=_by_class(classes, shares),
    )


def _by_class(classes: tuple[str, ...], shares: Shares) -> dict[str, tuple[float, float, float]]:
    """Share, low and high of each class; empty when they cannot be told."""
    if shares.reason:
        return {}
    columns = (shares.share.tolist(), shares.low.tolist(), shares.high.tolist())
    return dict(zip(classes, zip(*columns, strict=True), strict=True))


def _variance(moments: Moments) -> float:
    return moments.m2 / (moments.n - 1) if moments.n > 1 else 0.0

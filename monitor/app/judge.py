"""From rows, scores and labels to verdicts: the one place where the application meets the detection rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitor.app.memory import DetectorMemory
from monitor.app.runtime import Champion
from monitor.config import Deployment, DetectConfig, PerformanceConfig
from monitor.domain.detection.per_batch import (
    LossSeen,
    PerBatchRule,
    PriorSeen,
    judge_columns,
    judge_labels,
    judge_performance,
)
from monitor.domain.labels import class_codes
from monitor.domain.measures import Measures
from monitor.domain.model import Scores
from monitor.domain.model_reference import ModelReference
from monitor.domain.record import ClassShare
from monitor.domain.verdict import Channel, ChannelVerdict
from monitor.stats.label_shift import bbse
from monitor.stats.losses import absolute_error, log_loss, predicted_classes
from monitor.stats.moments import Moments
from monitor.stats.performance import Estimate, higher_is_better, metric_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Verdicts on one batch, the detector's next memory, and what was measured on the way."""

    verdicts: Mapping[Channel, ChannelVerdict]
    memory: DetectorMemory
    measures: Mapping[Channel, Measures]
    label_prior: Mapping[str, ClassShare]


@dataclass(frozen=True, slots=True)
class WindowMeasured:
    """The labelled rows of one window: the user's metric, and the loss that models are compared by."""

    estimate: Estimate
    loss: Moments

    @property
    def shown(self) -> dict[str, float | None]:
        values = {"realised": self.estimate.value, "low": self.estimate.low, "high": self.estimate.high}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}


def rule_of(config: DetectConfig) -> PerBatchRule:
    return PerBatchRule(
        alpha=config.alpha,
        min_effect=config.min_effect,
        min_loss_increase=config.min_loss_increase,
        hold=config.hold,
        min_rows=config.min_rows,
    )


def judge_batch(
    champion: Champion, rows: pa.Table, scores: Scores, config: DetectConfig, memory: DetectorMemory
) -> Judged:
    """Judge inputs, predictions and, for classes, the label prior of a scored batch."""
    reference, rule = champion.reference, rule_of(config)
    score_columns = reference.score_columns(scores)
    measures = {
        Channel.INPUTS: reference.inputs.compare(reference.inputs.profile(rows)),
        Channel.PREDICTIONS: reference.predictions.compare(reference.predictions.profile(score_columns)),
    }
    verdicts: dict[Channel, ChannelVerdict] = {}
    for channel, measured in measures.items():
        verdict, streak = judge_columns(channel, measured, rows.num_rows, rule, memory.streaks.get(channel, 0))
        verdicts[channel] = verdict
        memory = memory.after(channel, verdict.verdict, streak)
    prior: Mapping[str, ClassShare] = {}
    if reference.confusion is not None:
        seen = _prior_seen(reference, reference.confusion, scores)
        verdict, streak = judge_labels(seen, rows.num_rows, rule, memory.streaks.get(Channel.LABELS, 0))
        verdicts[Channel.LABELS] = verdict
        memory = memory.after(Channel.LABELS, verdict.verdict, streak)
        prior = {name: ClassShare(share=s, low=lo, high=hi) for name, (s, lo, hi) in seen.estimate.items()}
    return Judged(verdicts=verdicts, memory=memory, measures=measures, label_prior=prior)


def measure_window(
    scored: pa.Table,
    scores: Scores,
    labels: pa.Table,
    *,
    classes: tuple[str, ...],
    id_column: str,
    config: PerformanceConfig,
) -> WindowMeasured:
    """Measure the rows of `scored` (with their `scores`) that have a label in `labels` (`id`, `label`)."""
    ids = scored.column(id_column).combine_chunks()
    at = pc.index_in(labels.column("id").combine_chunks(), value_set=ids).to_numpy(zero_copy_only=False)
    seen = scores[at]
    target: npt.NDArray[Any]
    if classes:
        target = class_codes(labels.column("label").to_pylist(), classes)
        losses = log_loss(seen, target)
    else:
        target = labels.column("label").to_numpy()
        losses = absolute_error(seen, target)
    return WindowMeasured(metric_interval(config.metric, seen, target), Moments.of(losses))


def judge_window(
    champion: Champion, window: WindowMeasured, config: Deployment, memory: DetectorMemory
) -> tuple[ChannelVerdict, DetectorMemory]:
    """Judge a matured window of the champion's against its held-out rows."""
    reference, value = champion.reference.loss, window.estimate.value
    floor, metric = config.performance.floor, config.performance.metric
    below = floor is not None and (value < floor if higher_is_better(metric) else value > floor)
    seen = LossSeen(
        n_ref=reference.n,
        mean_ref=reference.mean,
        variance_ref=_variance(reference),
        n_cur=window.loss.n,
        mean_cur=window.loss.mean,
        variance_cur=_variance(window.loss),
        metric=metric,
        value=value,
        below_floor=below,
    )
    verdict = judge_performance(seen, rule_of(config.detect))
    return verdict, memory.after(Channel.PERFORMANCE, verdict.verdict, 0)


def _prior_seen(reference: ModelReference, confusion: npt.NDArray[np.float64], scores: Scores) -> PriorSeen:
    classes = reference.classes
    predicted = np.bincount(predicted_classes(scores), minlength=len(classes))
    estimate = bbse(confusion, predicted, reference.loss.n)
    held_out = confusion.sum(axis=0)
    told = not estimate.reason
    return PriorSeen(
        p_value=estimate.p_value if estimate.p_value is not None else math.nan,
        condition=estimate.condition,
        reason=estimate.reason,
        reference=dict(zip(classes, held_out.tolist(), strict=True)),
        estimate={
            name: (float(estimate.share[i]), float(estimate.low[i]), float(estimate.high[i]))
            for i, name in enumerate(classes)
            if told
        },
    )


def _variance(moments: Moments) -> float:
    return moments.m2 / (moments.n - 1) if moments.n > 1 else 0.0

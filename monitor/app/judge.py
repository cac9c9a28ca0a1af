"""From rows and scores to verdicts: the one place where the application meets the detection rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from monitor.app.memory import DetectorMemory
from monitor.app.runtime import Champion
from monitor.config import DetectConfig
from monitor.domain.detection.per_batch import (
    PerBatchRule,
    judge_columns,
    judge_labels,
)
from monitor.domain.measures import Measures
from monitor.domain.model import Scores
from monitor.domain.record import ClassShare
from monitor.domain.verdict import Channel, ChannelVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Verdicts on one batch, the detector's next memory, and what was measured on the way."""

    verdicts: Mapping[Channel, ChannelVerdict]
    memory: DetectorMemory
    measures: Mapping[Channel, Measures]
    label_prior: Mapping[str, ClassShare]


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
    measures = {
        Channel.INPUTS: reference.inputs.compare(reference.inputs.profile(rows)),
        Channel.PREDICTIONS: reference.predictions.compare(
            reference.predictions.profile(reference.score_columns(scores))
        ),
    }
    verdicts: dict[Channel, ChannelVerdict] = {}
    for channel, measured in measures.items():
        verdict, streak = judge_columns(channel, measured, rows.num_rows, rule, memory.streaks.get(channel, 0))
        verdicts[channel] = verdict
        memory = memory.after(channel, verdict.verdict, streak)
    prior: dict[str, ClassShare] = {}
    if reference.confusion is not None:
        estimate = _prior(reference.confusion, scores)
        seen = _prior_seen(estimate, reference.confusion, reference.classes)
        verdict, streak = judge_labels(seen, rows.num_rows, rule, memory.streaks.get(Channel.LABELS, 0))
        verdicts[Channel.LABELS] = verdict
        memory = memory.after(Channel.LABELS, verdict.verdict, streak)
        prior = {name: ClassShare(share=s, low=lo, high=hi) for name, (s, lo, hi) in seen.estimate.items()}
    return Judged(verdicts=verdicts, memory=memory, measures=measures, label_prior=prior)

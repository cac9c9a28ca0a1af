"""The loss on labelled rows as a stream: relative to what the held-out rows promised, and never learnt anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np

from monitor.domain.watch.rule import FalseAlarmRate, WatchRule
from monitor.domain.watch.season import Season
from monitor.domain.watch.streams import Measure, Observation, Stream, StreamSet
from monitor.errors import DataError
from monitor.stats.moments import Moments

_COLUMN = "loss"


def loss_streams(held_out: Moments) -> StreamSet:
    """One stream; `held_out` are the moments of the model's loss per held-out row. Raises DataError if it is not > 0.

    The level may move within two standard errors of the held-out mean, which is what that mean leaves open: a model
    that slowly gets worse must not become its own standard.
    """
    if held_out.n < 2 or not held_out.mean > 0:  # noqa: PLR2004 - a variance needs two rows
        raise DataError(f"held-out loss of {held_out.n} rows with mean {held_out.mean} is no level to watch against")
    variance = max(held_out.m2 / (held_out.n - 1) / held_out.mean**2, 1e-6)
    stream = Stream(column=_COLUMN, measure=Measure.LOSS, variance=variance, anchor_rows=held_out.n)
    return StreamSet(streams=(stream,), reference_rows=held_out.n)


def loss_observation(held_out: Moments, labelled: Moments, at: datetime | None) -> Observation:
    """Loss of a batch's labelled rows, relative to the held-out loss, less 1; without rows it says nothing."""
    value = labelled.mean / held_out.mean - 1.0 if labelled.n else float("nan")
    return Observation(at=at, values=np.array([value]), rows=np.array([float(labelled.n)]), outside=np.zeros(0))


def loss_rule(false_alarms: FalseAlarmRate, *, min_increase: float = 0.1, rule: WatchRule | None = None) -> WatchRule:
    """One-sided, no season, no lags: with lags a loss that creeps up explains itself away."""
    start = rule or WatchRule(false_alarms=false_alarms, incidents=false_alarms)
    return replace(
        start,
        false_alarms=false_alarms,
        season=Season.NONE,
        lags=False,
        two_sided=False,
        min_effect=min_increase,
        max_distance=float("inf"),
        columns=(),
    )

"""Everything a detector remembers between two batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from monitor.domain.verdict import ColumnFinding
from monitor.domain.watch.history import History
from monitor.stats.sequential.conformal import Ranks
from monitor.stats.sequential.distance import Dispersion
from monitor.stats.sequential.evidence import Evidence
from monitor.stats.sequential.longrun import LongRun
from monitor.stats.sequential.pooled import Pooled
from monitor.stats.sequential.regression import Array, Mask, Regression
from monitor.stats.sequential.tail import LargestValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """An alarm that stays until it is acknowledged."""

    since: datetime | None  # start of the batch that raised it
    reason: str
    evidence: float
    columns: tuple[ColumnFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorState:
    """S streams, G guards. Values are in units of a batch's sampling error at `unit_rows` rows."""

    regression: Regression
    evidence: Evidence
    longrun: LongRun
    pooled: Pooled | None  # where many streams share a budget
    history: History
    ranks: Ranks | None  # strict mode only
    tail: LargestValues
    dispersion: Dispersion
    trail: Array  # (≤ window, S) values without season, for the distance
    trailed: int  # batches since the last complete block
    season_sum: Array  # (slots, S) of values relative to the 28-batch mean
    season_count: Array
    unit_rows: float  # the usual size of a batch
    error_squares: Array  # (S,) sums that the dispersion between batches is estimated from
    error_expected: Array
    pending: Mask  # (S,) crossed the threshold, but the effect is not clear of `min_effect` yet
    pending_age: int  # batches since then
    pending_evidence: float
    outside_since: Array  # (G,) time of the first batch of the run that exceeds a guard; NaN when there is none
    muted: Mask  # (G,) guard that was acknowledged: silent until the reference changes
    interval: float  # seconds from one batch to the next, fixed by the warm-up; 0 = not known
    latch: Latch | None
    warm_batches: int
    batches: int  # judged since the start
    alarms: int
    incidents: int
    notes: tuple[str, ...]


def fresh(
    *, prior: Array, components: int, guards: int, slots: int, ranks: bool, pooled: bool, unit_rows: float
) -> DetectorState:
    """Nothing seen yet. `prior`: prior variances of the coefficients, shape (S, p)."""
    streams = len(prior)
    return DetectorState(
        regression=Regression.start(prior),
        evidence=Evidence.start(streams, components),
        longrun=LongRun.start(streams),
        pooled=Pooled.start(streams) if pooled else None,
        history=History.start(streams),
        ranks=Ranks.start(streams) if ranks else None,
        tail=LargestValues.start(),
        dispersion=Dispersion.start(streams),
        trail=np.zeros((0, streams)),
        trailed=0,
        season_sum=np.zeros((slots, streams)),
        season_count=np.zeros((slots, streams)),
        unit_rows=unit_rows,
        error_squares=np.zeros(streams),
        error_expected=np.zeros(streams),
        pending=np.zeros(streams, dtype=bool),
        pending_age=0,
        pending_evidence=0.0,
        outside_since=np.full(guards, np.nan),
        muted=np.zeros(guards, dtype=bool),
        interval=0.0,
        latch=None,
        warm_batches=0,
        batches=0,
        alarms=0,
        incidents=0,
        notes=(),
    )

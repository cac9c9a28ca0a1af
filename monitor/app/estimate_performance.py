"""Performance of a batch before its labels: of all its rows, and of each segment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitor.app.runtime import Champion
from monitor.domain import columns as cols
from monitor.domain.model import Scores
from monitor.domain.performance_estimate import Assumed
from monitor.domain.record import Performance, SegmentEstimate
from monitor.domain.schema import Kind, Schema
from monitor.stats.label_shift_em import Shares

_SEED = 0  # of the folds of the classifier that tells batch and held-out rows apart: the same batch, the same estimate
_MOST_SEGMENTS = 20  # of one column, those with the most rows
_FEWEST_ROWS = 30  # of a segment that is estimated

Segments = Mapping[str, Mapping[str, SegmentEstimate]]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the history record says of a batch without labels; empty when nothing can be said."""

    performance: Performance = field(default_factory=Performance)
    segments: Segments = field(default_factory=dict)


def estimate_performance(
    champion: Champion,
    rows: pa.Table,
    *,
    scores: Scores,
    served: Scores,
    shares: Shares | None,
    metric: str,
    schema: Schema,
) -> Expected:
    """`scores` are the model's, `served` what counts as its answer; `shares` as estimated from `scores`."""
    if champion.estimator is None or rows.num_rows == 0:
        return Expected()
    assumed = champion.estimator.assume(rows, scores, served, shares, np.random.default_rng(_SEED))
    value, low, high = _known(assumed, metric, slice(None))
    performance = Performance(
        estimated=value, estimated_low=low, estimated_high=high, assumption=assumed.assumption.value
    )
    segments = {
        column: {
            level: SegmentEstimate(len(at), *_known(assumed, metric, at)) for level, at in _levels(rows, column, schema)
        }
        for column in schema.segments
    }
    return Expected(performance, segments)


def _known(
    assumed: Assumed, metric: str, rows: npt.NDArray[np.intp] | slice
) -> tuple[float | None, float | None, float | None]:
    """Value and interval; None where the metric is not defined."""
    found = assumed.estimate(metric, rows)
    low, value, high = (number if math.isfinite(number) else None for number in (found.low, found.value, found.high))
    return value, low, high


def _levels(rows: pa.Table, column: str, schema: Schema) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """The largest segments and where their rows are; rows without a level are in none."""
    read = cols.boolean_codes if schema.features[column] is Kind.BOOLEAN else cols.codes
    codes, levels = read(cols.column(rows, column), column)
    counts = np.bincount(codes + 1, minlength=len(levels) + 1)[1:]
    for code in np.argsort(-counts, kind="stable")[:_MOST_SEGMENTS].tolist():
        if counts[code] >= _FEWEST_ROWS:
            yield levels[code], np.flatnonzero(codes == code)

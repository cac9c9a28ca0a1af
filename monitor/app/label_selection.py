"""Whether the labels of a window were given to some kinds of rows rather than to others."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitor.app.judge import LabelledScores
from monitor.config.deployment import Deployment
from monitor.domain.labelled_rows import compare_labelled
from monitor.domain.model import Scores
from monitor.domain.verdict import Channel
from monitor.stats.weighted_performance import weighted_metric

_FEWEST = 30  # rows with a label, and rows without
_MOST = 10_000  # of either are compared; more say nothing new
_NAMED = 3
_LEAST_SHARE = 0.05  # of what tells the rows apart, for a column that is named
_CAUTIOUS = 0.001  # chance of a warning without cause, where no budget says how much is allowed

Places = npt.NDArray[np.int64]


def see_selection(
    rows: pa.Table, scores: Scores, labelled: LabelledScores, record: Mapping[str, Any], config: Deployment
) -> dict[str, Any]:
    """Of the record's `performance`: `selection_p_value`, and `selected_by` and `weighted` when it is small.

    It warns without cause about as often as a channel may raise an alarm without one.
    """
    nothing: dict[str, Any] = {"selection_p_value": None, "selected_by": (), "weighted": None}
    rest = np.setdiff1d(np.arange(rows.num_rows), labelled.at)
    if min(len(labelled.at), len(rest)) < _FEWEST:
        return nothing
    rng = np.random.default_rng(zlib.crc32(record["batch"].encode()))  # the same window, the same answer
    chosen, rest = _some(np.arange(len(labelled.at)), rng), _some(rest, rng)
    schema = config.schema_value
    features, at = rows.select(list(schema.features)), labelled.at[chosen]
    parts = features.take(pa.array(at)), features.take(pa.array(rest))
    found = compare_labelled(*parts, (scores[at], scores[rest]), schema, rng)
    if found.p_value is None or found.p_value >= allowed(record, config):
        return {**nothing, "selection_p_value": found.p_value}
    weighted = weighted_metric(
        config.performance.metric, labelled.scores[chosen], labelled.target[chosen], found.weights
    )
    return {
        "selection_p_value": found.p_value,
        "selected_by": _largest(found.shares),
        "weighted": weighted if np.isfinite(weighted) else None,
    }


def _some(places: Places, rng: np.random.Generator) -> Places:
    return places if len(places) <= _MOST else np.sort(rng.choice(places, _MOST, replace=False))


def allowed(record: Mapping[str, Any], config: Deployment) -> float:
    """Chance of a warning without cause on one window: one in as many batches as the budget of alarms promises."""
    batches = record["verdicts"][Channel.INPUTS]["threshold"] if config.detect.rule == "budget" else None
    return 1.0 / batches if batches is not None and batches > 1 else _CAUTIOUS


def _largest(shares: Mapping[str, float]) -> tuple[str, ...]:
    ordered = sorted(shares.items(), key=lambda item: -item[1])[:_NAMED]
    return tuple(name for name, share in ordered if share >= _LEAST_SHARE) or (ordered[0][0],)

"""Whether the labels of a window's control rows differ from those of the rows that were served."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitor.app.judge import LabelledScores
from monitor.app.label_selection import allowed
from monitor.config.deployment import Deployment
from monitor.domain.control import Control, Side
from monitor.stats.performance import metric_interval
from monitor.stats.two_groups import same_labels

_FEWEST = 30  # labelled rows of each


def see_control(
    rows: pa.Table,
    labelled: LabelledScores,
    classes: Sequence[str],
    record: Mapping[str, Any],
    config: Deployment,
) -> dict[str, Any]:
    """Of the record's `performance`: `control`, None without a control column or with too few rows of either kind.

    A row that does not say is one that was served. It warns without cause about as often as a channel may raise an
    alarm without one.
    """
    name = config.schema_.control
    if name is None or name not in rows.column_names:
        return {"control": None}
    marked = np.asarray(rows.column(name).fill_null(False))[labelled.at].astype(bool)
    p_value = same_labels(labelled.target[~marked], labelled.target[marked], len(classes))
    if min(marked.sum(), (~marked).sum()) < _FEWEST or p_value is None:
        return {"control": None}
    served, control = (_side(labelled, chosen, classes, config) for chosen in (~marked, marked))
    parted = p_value < allowed(record, config)
    return {"control": asdict(Control(served=served, control=control, p_value=p_value, parted=parted))}


def _side(labelled: LabelledScores, chosen: npt.NDArray[np.bool_], classes: Sequence[str], config: Deployment) -> Side:
    target = labelled.target[chosen]
    metric = metric_interval(config.performance.metric, labelled.scores[chosen], target).value
    shares = {name: float((target == code).mean()) for code, name in enumerate(classes)}
    return Side(
        rows=len(target),
        labels=shares or {"mean": float(target.mean())},
        metric=metric if math.isfinite(metric) else None,
    )

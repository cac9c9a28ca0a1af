"""Scores of collected rows, from the columns that they are written in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from monitor.domain.model import Scores
from monitor.domain.schema import VALUE
from monitor.domain.score_columns import RAW, SERVED


def scores_in(table: pa.Table, prefix: str, classes: Sequence[str]) -> Scores | None:
    """Of a kind (`domain.score_columns`), (n, k) or (n,); None when these rows have none."""
    names = [f"{prefix}{name}" for name in classes or (VALUE,)]
    if names[0] not in table.column_names:
        return None
    columns = [table.column(name).to_numpy() for name in names]
    return np.column_stack(columns) if classes else np.asarray(columns[0], dtype=np.float64)


def own_scores(table: pa.Table, classes: Sequence[str]) -> Scores:
    """What the model itself said, also where something else was served."""
    for prefix in (RAW, SERVED):
        if (scores := scores_in(table, prefix, classes)) is not None:
            return scores
    raise LookupError("rows without scores")

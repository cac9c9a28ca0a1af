"""The class prior as streams: shares of the labels that came, or of the classes that were predicted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from monitor.domain.watch.column_streams import ColumnStreams
from monitor.domain.watch.streams import Observation
from monitor.errors import DataError
from monitor.stats.categorical import CategoricalProfile, CategoricalReference

_COLUMN = "label"


class PriorStreams:
    """`prior`: share per class among `rows` held-out rows. Labels of a regression are a numeric column instead."""

    def __init__(self, prior: Mapping[str, float], rows: int) -> None:
        if rows < 1 or not prior:
            raise DataError(f"a prior of {len(prior)} classes from {rows} rows is no reference")
        self._classes = tuple(sorted(name for name, share in prior.items() if round(share * rows) > 0))
        counts = np.array([round(prior[name] * rows) for name in self._classes], dtype=np.int64)
        self._columns = ColumnStreams({_COLUMN: CategoricalReference(self._classes, counts, 0)}, rows)
        self.set = self._columns.set

    def observe(self, counts: Mapping[str, int], at: datetime | None) -> Observation:
        """Labels per class of one batch; classes that the reference does not hold count as unseen."""
        profile = CategoricalProfile(
            counts=np.array([counts.get(name, 0) for name in self._classes], dtype=np.int64),
            unseen={name: n for name, n in counts.items() if name not in self._classes and n},
        )
        return self._columns.observe({_COLUMN: profile}, at)

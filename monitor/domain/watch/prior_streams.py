"""The class prior as streams: what the predicted classes say about the shares of the labels, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from monitor.domain.watch.streams import Measure, Observation, Stream, StreamSet
from monitor.stats.label_shift import WORST_CONDITION
from monitor.stats.sequential.regression import Array

COLUMN = "label"
_TWO = 2


class PriorStreams:
    """One stream per class, of two classes the last one's: its share less the one on the held-out rows.

    The share is black-box shift estimation without its clipping, so that it is a mean over rows: row i adds
    `prior_j · C⁻¹[j, predicted_i]`, C (k, k) being the joint shares P(predicted, label). Without held-out rows of some
    class, or with a singular C, nothing can be told and there are no streams. See `stats.label_shift.bbse`.
    """

    def __init__(self, confusion: Array, classes: Sequence[str], held_out: int) -> None:
        prior = confusion.sum(axis=0)
        told = bool((prior > 0).all()) and bool(np.linalg.cond(confusion / np.maximum(prior, 1e-300)) < WORST_CONDITION)
        watched = slice(1, None) if len(classes) == _TWO else slice(None)
        self._per_row = (prior[:, None] * np.linalg.inv(confusion))[watched] if told else np.zeros((0, len(classes)))
        self._prior = prior[watched] if told else np.zeros(0)
        predicted = confusion.sum(axis=1)
        variance = np.square(self._per_row) @ predicted - np.square(self._prior)
        self.set = StreamSet(
            streams=tuple(
                Stream(column=COLUMN, measure=Measure.PRIOR, level=name, variance=max(float(each), 1e-12))
                for name, each in zip(tuple(classes)[watched], variance, strict=False)
            ),
            reference_rows=held_out,
        )

    def observe(self, predicted: npt.NDArray[np.int64], at: datetime | None) -> Observation:
        """`predicted` (k,): how often each class was the most probable one. Without rows it says nothing."""
        n = int(predicted.sum())
        share = self._per_row @ predicted / n if n else np.full(len(self._prior), np.nan)
        rows = np.full(len(self._prior), float(n))
        return Observation(at=at, values=share - self._prior, rows=rows, outside=np.zeros(0))

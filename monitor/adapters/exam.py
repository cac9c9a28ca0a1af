"""Models are asked about the same labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from monitor.adapters.features import to_features
from monitor.adapters.model_code import predict
from monitor.adapters.training_rows import TrainingRows
from monitor.domain.checks.comparison import Answers, Comparison
from monitor.domain.model import Model, Scores
from monitor.domain.schema import LabelKind, Schema
from monitor.stats.losses import brier_loss
from monitor.stats.performance import Estimate, absolute_error, log_loss, metric_interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model and its answers. `metric`: on all rows asked about, with its interval."""

    model: Model
    classes: tuple[str, ...]
    answers: Answers
    metric: Estimate

    @property
    def loss(self) -> float:
        """Mean log loss, or absolute error: what the gate asks for."""
        return float(self.answers.losses.mean())

    @property
    def choice_loss(self) -> float:
        """What candidates are chosen by: the mean Brier score of classes, the absolute error of a value.

        Both scores of classes are proper, but under drift a few confident errors decide the log loss; it then chooses
        the candidate that is least sure, not the one that is most often right.
        """
        if not self.classes:
            return self.loss
        return float(brier_loss(self.answers.scores, self.answers.target).mean())


class Exam:
    def __init__(self, rows: TrainingRows, metric: str) -> None:
        self.rows, self._metric = rows, metric

    @cached_property
    def frame(self) -> pd.DataFrame:
        return to_features(self.rows.table, self.rows.schema)

    def take(self, model: Model, classes: tuple[str, ...]) -> Contender:
        """Raises ModelError for answers that are no predictions, and whatever the model raises."""
        scores = predict(model, self.frame, classes)
        target = self.rows.target(classes)
        losses = log_loss(scores, target) if classes else absolute_error(scores, target)
        column = positive_class(self.rows.schema, classes)
        estimate = metric_interval(self._metric, scores, target, positive=column)
        return Contender(model, classes, Answers(scores, target, losses, column), estimate)

    def compare(self, candidate: Contender, champion: Contender) -> Comparison:
        origins = self.rows.table.column("_origin").combine_chunks().dictionary_encode().indices.to_numpy()
        batches = np.cumsum(np.diff(origins, prepend=origins[:1]) != 0)
        return Comparison(candidate.answers, champion.answers, batches, self._segments())

    def _segments(self) -> dict[str, npt.NDArray[np.object_]]:
        table = self.rows.table
        return {
            name: np.array(pc.fill_null(table.column(name).cast("string"), "missing").to_pylist(), dtype=object)
            for name in self.rows.schema.segments
        }


def aligned(scores: Scores, classes: Sequence[str], wanted: Sequence[str]) -> Scores:
    """The columns of `wanted`, of which the model may lack some or know more; rows sum to 1 again."""
    if tuple(classes) == tuple(wanted):
        return scores
    aligned = np.zeros((len(scores), len(wanted)))
    for column, name in enumerate(wanted):
        if name in classes:
            aligned[:, column] = scores[:, list(classes).index(name)]
    sums = aligned.sum(axis=1, keepdims=True)
    return np.where(sums > 0, aligned / np.where(sums > 0, sums, 1.0), 1.0 / len(wanted))


def positive_class(schema: Schema, classes: Sequence[str]) -> int | None:
    """Index of the positive class of a binary label: the named one, else the last."""
    label = schema.label
    if label is None or label.kind is not LabelKind.BINARY:
        return None
    if label.positive is None:
        return len(classes) - 1
    return classes.index(label.positive) if label.positive in classes else None

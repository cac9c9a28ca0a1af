"""What models that have not seen a row say about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from monitor.adapters.exam import aligned
from monitor.adapters.features import to_features
from monitor.adapters.model_code import predict
from monitor.adapters.training_rows import TrainingRows
from monitor.domain.checks.comparison import Answers
from monitor.domain.model import Model, Scores
from monitor.domain.selection.selection import Selection
from monitor.stats.performance import absolute_error, log_loss

_FOLDS = 3


class Call(Protocol):
    def __call__(self, user_code: Callable[[], Scores]) -> Scores: ...


def cross_validated(rows: TrainingRows, fit: Callable[[TrainingRows], Model], call: Call) -> Answers:
    """Scores of each row by a model fitted on two thirds of the others, drawn at random.

    At random, and not by time: the question is whether a label fits the rows around it. Raises what `fit` raises, and
    ModelError for answers that are no predictions.
    """
    classes = rows.classes()
    target = rows.target(classes)
    fold_of = np.random.default_rng(0).permutation(len(rows)) % _FOLDS
    scores = np.zeros((len(rows), len(classes)) if classes else len(rows))
    for fold in range(_FOLDS):
        left_out = np.flatnonzero(fold_of == fold)
        others, asked = rows.of(Selection(np.flatnonzero(fold_of != fold))), rows.of(Selection(left_out))
        model, known = fit(others), others.classes()
        frame = to_features(asked.table, rows.schema)
        answers = call(lambda model=model, frame=frame, known=known: predict(model, frame, known))  # type: ignore[misc]
        scores[left_out] = aligned(answers, known, classes) if classes else answers
    losses = log_loss(scores, target) if classes else absolute_error(scores, target)
    return Answers(scores, target, losses)

"""Are the rows with a label like those without one? If not, a metric of the labelled ones is that of a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain.encoding import encode
from monitor.domain.schema import Schema
from monitor.stats.multivariate.classifier import classifier_test

Array = npt.NDArray[np.float64]

SCORES = "scores"  # stands for what the model says among the features
_LARGEST = 20.0  # of the ratios: no single labelled row speaks for more unlabelled ones


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """`p_value` that labelled and unlabelled rows are alike; None: too few of them to tell.

    `shares`: of each feature, and of `SCORES`, in what tells the two apart. `weights` (labelled rows): how many rows of
    the whole window each stands for, by the inverse of its probability to have a label, 1 on average.
    """

    p_value: float | None
    shares: Mapping[str, float]
    weights: Array


def compare_labelled(
    labelled: Any, unlabelled: Any, scores: tuple[Array, Array], schema: Schema, rng: np.random.Generator
) -> LabelledRows:
    """By the classifier two-sample test on features and `scores` (of the labelled rows, of the others).

    The probability is cross-fitted: differences by chance are not weighted away. Raises DataError as `encode` does.
    """
    rows = encode(labelled, unlabelled, schema)
    both = np.concatenate([_matrix(part) for part in scores])
    spread = both.std(axis=0)
    both = (both - both.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    n = len(scores[0])
    groups = np.append(rows.groups, np.full(both.shape[1], len(rows.names)))
    ref, cur = np.hstack([rows.ref, both[:n]]), np.hstack([rows.cur, both[n:]])
    found = classifier_test(ref, cur, groups, rng)
    names = (*rows.names, SCORES)
    weights = 1.0 + np.minimum(found.weights, _LARGEST) * len(cur) / max(len(ref), 1)
    return LabelledRows(
        p_value=found.result.p_value,
        shares=dict(zip(names, found.shares.tolist(), strict=True)),
        weights=weights / weights.mean() if weights.size else weights,
    )


def _matrix(scores: Array) -> Array:
    """Of k probabilities the last one is said by the others."""
    return scores[:, None] if scores.ndim == 1 else scores[:, : max(scores.shape[1] - 1, 1)]

"""How much more often rows like a held-out one come in a batch: weights under which the held-out rows resemble it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.stats.multivariate.classifier import classifier_test

Array = npt.NDArray[np.float64]

_MOST_ROWS = 10_000  # of a batch
_MOST_COLUMNS = 50  # those that moved most: the others tell the two apart by chance
_LARGEST = 20.0  # of a weight, so that no single row stands for all
_FEWEST = 30  # rows in which a column must not be 0: counts of fewer are not normal
_BLOCK = 16  # columns at a time: what is computed of them stays in the processor's cache
_CONSTANT = 1e-12  # variance, relative to the mean square, that is only rounding


@dataclass(frozen=True, slots=True, eq=False)
class Powers:
    """Of each column of some `rows`, then of its square, (2d,): mean, variance, and in how many rows it is not 0."""

    rows: int
    mean: Array
    variance: Array
    held: npt.NDArray[np.int64]

    @classmethod
    def of(cls, x: Array) -> Powers:
        """`x` (n, d) of numbers on a common scale: see `domain.held_out`."""
        each, sums = np.ones(len(x)), np.empty((4, x.shape[1]))
        for columns in (slice(at, at + _BLOCK) for at in range(0, x.shape[1], _BLOCK)):
            square = x[:, columns] * x[:, columns]
            sums[0, columns], sums[1, columns] = each @ x[:, columns], each @ square
            square *= square
            sums[2, columns] = each @ square
        sums[3] = np.count_nonzero(x, axis=0)
        return cls.of_sums(len(x), sums)

    @classmethod
    def of_sums(cls, rows: int, sums: Array) -> Powers:
        """`sums` (4, d): of each column's numbers, of their squares and fourth powers, and how many are not 0."""
        means = sums[:3] / max(rows, 1)
        mean, mean_square = means[:2].ravel(), means[1:].ravel()
        variance = mean_square - mean * mean
        variance[variance <= _CONSTANT * mean_square] = 0.0
        return cls(rows, mean, variance, np.tile(sums[3].astype(np.int64), 2))


def moved(held_out: Powers, batch: Powers) -> Array:
    """How many standard errors the mean of each column, then of its square, is away, (2d,); 0 where it cannot say.

    Both of at least one row.
    """
    variance = held_out.variance / held_out.rows + batch.variance / batch.rows
    use = (held_out.held + batch.held >= _FEWEST) & (variance > 0)
    z: Array = np.where(use, (batch.mean - held_out.mean) / np.sqrt(np.where(use, variance, 1.0)), 0.0)
    return z


def moved_p(z: Array) -> float:
    """P-value that no column has moved, by the largest of `z` and Bonferroni over the columns that say something."""
    tested = int(np.count_nonzero(z))
    return min(2.0 * float(special.ndtr(-np.abs(z).max(initial=0.0))) * tested, 1.0) if tested else 1.0


def importance(held_out: Array, batch: Array, z: Array, rng: np.random.Generator) -> Array:
    """Density ratio batch/held-out at each held-out row, (n,), by a classifier that has not seen the row; mean 1.

    Of the columns the 50 that moved most by `z` are looked at; weights are cut at 20. All 1 with too few rows.
    """
    strength = np.abs(z).reshape(2, -1).max(axis=0)
    columns = np.sort(np.argsort(-strength, kind="stable")[:_MOST_COLUMNS])
    if len(batch) > _MOST_ROWS:
        batch = batch[np.linspace(0, len(batch) - 1, _MOST_ROWS).round().astype(np.intp)]
    found = classifier_test(held_out[:, columns], batch[:, columns], np.arange(columns.size), rng)
    weights = np.minimum(found.weights, _LARGEST)
    scaled: Array = weights / weights.mean()
    return scaled

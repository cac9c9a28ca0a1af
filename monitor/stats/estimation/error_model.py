"""How large the error of a regression model is expected to be at given inputs: an additive model, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.stats.performance import Estimate

Array = npt.NDArray[np.float64]

_Z95 = 1.959963984540054
_PIECES = 8  # of each column, of equal share
_MOST_COLUMNS = 30  # those whose pieces tell errors apart best
_FEWEST_ROWS = 50  # with fewer, the mean error is all that is known
_RIDGES = np.array([1.0, 10.0, 100.0, 1000.0])  # as many rows' worth of pull towards "the same everywhere"


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """Ridge regression of |error| and of its square on pieces of each column; the prediction is one of the columns.

    Along a column the error is a line with bends, and stays what it was beyond the values seen. `columns` (c,) of the
    inputs, the last one after them the prediction; `knots`: the bends of each, the ends included; `centre` (p,) means
    of the pieces, `level` (2,) of the errors; `coefficients` (p, 2) and `covariance` (2, p, p);
    `noise` (2,): variance about the model, in squares of what it says.
    """

    columns: npt.NDArray[np.int64]
    knots: tuple[Array, ...]
    centre: Array
    level: Array
    level_variance: Array
    coefficients: Array
    covariance: Array
    noise: Array

    @classmethod
    def fit(cls, features: Array, predicted: Array, target: Array) -> ErrorModel:
        """On rows the model was not fitted on: `features` (n, d), finite, `predicted` and `target` (n,), n ≥ 1."""
        error = np.abs(predicted - target)
        wanted = np.column_stack([error, np.square(error)])
        table = np.column_stack([features, predicted])
        columns, knots = _chosen(table, error) if len(error) >= _FEWEST_ROWS else (np.zeros(0, np.int64), ())
        pieces = _pieces(table[:, columns], knots)
        centre, level = pieces.mean(axis=0), wanted.mean(axis=0)
        inner, coefficients = _ridge(pieces - centre, wanted - level)
        fitted = level + (pieces - centre) @ coefficients
        left = wanted - fitted
        pulls = [(pieces - centre) * left[:, [k]] for k in range(2)]
        return cls(
            columns=columns,
            knots=knots,
            centre=centre,
            level=level,
            level_variance=left.var(axis=0) / len(error),
            coefficients=coefficients,
            covariance=np.stack([i @ (pull.T @ pull) @ i for i, pull in zip(inner, pulls, strict=True)]),
            noise=np.square(left).mean(axis=0) / np.maximum(np.square(fitted).mean(axis=0), np.finfo(np.float64).tiny),
        )

    def pieces(self, features: Array, predicted: Array) -> Array:
        """Rows as the model takes them, (m, p), less the means."""
        return _pieces(np.column_stack([features, predicted])[:, self.columns], self.knots) - self.centre

    def estimate(self, metric: str, pieces: Array) -> Estimate:
        """Expected mae or rmse of rows given as `pieces`, and the 95% interval of what will be realised [1]_.

        For errors not yet seen, and for what the held-out rows leave open. NaN without rows. Raises KeyError for
        another metric.

        References
        ----------
        .. [1] Direct loss estimation, as in NannyML; its model of the loss is a boosted one.
        """
        k = {"mae": 0, "rmse": 1}[metric]
        if len(pieces) == 0:
            return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
        each = np.maximum(self.level[k] + pieces @ self.coefficients[:, k], 0.0)
        value, at = float(each.mean()), pieces.mean(axis=0)
        variance = self.noise[k] * float(np.square(each).sum()) / len(each) ** 2
        error = math.sqrt(variance + self.level_variance[k] + float(at @ self.covariance[k] @ at))
        low, high = max(value - _Z95 * error, 0.0), value + _Z95 * error
        if metric == "rmse":
            root = math.sqrt(value)
            spread = error / (2 * root) if root > 0 else 0.0
            return Estimate(root, math.sqrt(low), math.sqrt(high), spread, len(each))
        return Estimate(value, low, high, error, len(each))


def _chosen(table: Array, error: Array) -> tuple[npt.NDArray[np.int64], tuple[Array, ...]]:
    """Columns whose pieces explain most of the variance of the error, and where they bend."""
    knots = [np.unique(np.quantile(column, np.arange(_PIECES + 1) / _PIECES)) for column in table.T]
    explained = np.array([_explained(np.searchsorted(k, c), error) for k, c in zip(knots, table.T, strict=True)])
    columns = np.sort(np.argsort(-explained, kind="stable")[:_MOST_COLUMNS])
    return columns, tuple(knots[i] for i in columns.tolist())


def _explained(place: npt.NDArray[np.intp], error: Array) -> float:
    count = np.bincount(place)
    mean = np.bincount(place, error) / np.maximum(count, 1)
    return float(count @ np.square(mean - error.mean()))


def _pieces(table: Array, knots: tuple[Array, ...]) -> Array:
    """How far through each piece of each column a row is, from 0 to 1, (n, p)."""
    blocks = [np.clip((table[:, [i]] - k[:-1]) / np.diff(k), 0.0, 1.0) for i, k in enumerate(knots)]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(table), 0))


def _ridge(pieces: Array, wanted: Array) -> tuple[list[Array], Array]:
    """(piecesᵀpieces + r)⁻¹ and the coefficients of each wanted column, r by generalised cross-validation [1]_.

    References
    ----------
    .. [1] Golub, Heath, Wahba (1979), Technometrics 21(2), 215-223.
    """
    n = len(pieces)
    value, vector = np.linalg.eigh(pieces.T @ pieces) if pieces.shape[1] else (np.zeros(0), np.zeros((0, 0)))
    value, along = np.maximum(value, 0.0), pieces @ vector
    inverses, found = [], []
    for y in wanted.T:
        pulled, scores = along.T @ y, []
        for ridge in _RIDGES:
            left = float(np.square(y - along @ (pulled / (value + ridge))).sum())
            scores.append(left / (1.0 - (1.0 + float((value / (value + ridge)).sum())) / n) ** 2 if n > 1 else 0.0)
        ridge = _RIDGES[int(np.argmin(scores))]
        inverses.append((vector / (value + ridge)) @ vector.T)
        found.append(vector @ (pulled / (value + ridge)))
    return inverses, np.column_stack(found)

"""A lower bound of any number of some rows, by drawing the rows again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

_DRAWS = 400
_MOST_ROWS = 20_000

Positions = npt.NDArray[np.intp]


def lower_bound(value: Callable[[Positions], float], n: int, rng: np.random.Generator, level: float = 0.05) -> float:
    """The `level` quantile of `value` over bootstrap samples of `n` rows (percentile interval [1]_, one-sided).

    `value` gets positions, with repeats. Samples for which it is not defined (NaN) are left out; −inf when it is for
    none. Of more than 20,000 rows so many, evenly spread, are drawn from: the bound is a little lower then.

    References
    ----------
    .. [1] Efron, Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    pool = np.arange(n) if n <= _MOST_ROWS else np.linspace(0, n - 1, _MOST_ROWS).round().astype(np.intp)
    if pool.size == 0:
        return -np.inf
    drawn = np.array([value(rng.choice(pool, pool.size)) for _ in range(_DRAWS)])
    drawn = drawn[~np.isnan(drawn)]
    return float(np.quantile(drawn, level)) if drawn.size else -np.inf

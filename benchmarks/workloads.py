"""The data that every contender is given. Only numpy and pandas: this runs in the peers' environments too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

_LEVELS = 20
_SHIFT = 0.1  # standard deviations, in every fifth column
_DRAWS: Sequence[Callable[[np.random.Generator, int], np.ndarray]] = (
    lambda rng, n: rng.standard_normal(n),
    lambda rng, n: rng.lognormal(size=n),
    lambda rng, n: rng.poisson(30, n).astype(np.float64),
    lambda rng, n: rng.uniform(-2, 2, n),
)


@dataclass(frozen=True)
class Workload:
    """`task` names the function of a contender that is measured."""

    task: str
    reference_rows: int
    current_rows: int
    numeric: int
    strings: int = 0


WORKLOADS = {
    "W1": Workload("univariate", 10_000, 10_000, 50, 10),
    "W2": Workload("univariate", 100_000, 100_000, 50, 10),
    "W3": Workload("univariate", 100_000, 1_000_000, 50, 10),
    "W4": Workload("univariate", 10_000, 10_000, 1000),
    "mmd-1k": Workload("mmd", 1000, 1000, 50),
    "mmd-10k": Workload("mmd", 10_000, 10_000, 50),
    "classifier-10k": Workload("classifier", 10_000, 10_000, 50),
    **{f"rows-{n}": Workload("univariate", 10_000, n, 8, 2) for n in (10**4, 10**5, 10**6, 10**7)},
    **{f"columns-{k}": Workload("univariate", 5000, 5000, k) for k in (10, 100, 1000, 10_000)},
}


def tables(work: Workload) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reference and current rows: columns `x0`… of numbers, `s0`… of strings; the same for the same numpy."""
    return _table(work, work.reference_rows, 0, 0.0), _table(work, work.current_rows, 1, _SHIFT)


def _table(work: Workload, rows: int, seed: int, shift: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    held: dict[str, np.ndarray] = {}
    for i in range(work.numeric):
        values = _DRAWS[i % len(_DRAWS)](rng, rows)
        if i % 5 == 0 and shift:
            values += shift * values.std()
        held[f"x{i}"] = values
    levels = np.array([f"level {j}" for j in range(_LEVELS)], dtype=object)
    for i in range(work.strings):
        odds = np.arange(1, _LEVELS + 1) + (10.0 * shift if i % 5 == 0 else 0.0)
        held[f"s{i}"] = levels[rng.choice(_LEVELS, rows, p=odds / odds.sum())]
    return pd.DataFrame(held)


def split(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Names of the columns of numbers and of those of strings."""
    return [c for c in frame if c.startswith("x")], [c for c in frame if c.startswith("s")]

"""Streams of batches with known nuisance and known drift, as the statistics that the detector follows.

90 reference batches and 1,000 daily ones of 20 numeric columns and two classes (prior .3). 15 columns are used by the
model: the classes differ in them, and 11 of these are correlated .2. Columns 0 and 1 have a weekday pattern of
+0.40/−0.28σ, the batch means of columns 2 and 3 are AR(1) with φ = .8 and standard deviation .15σ. Location and spread
are computed from the rows through the reference's own ECDF, tabulated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.domain.watch.streams import Measure, Observation, Stream, StreamSet, log_odds

START = datetime(2024, 1, 1, tzinfo=UTC)
REFERENCE_BATCHES = 90
BATCHES = 1000
COLUMNS = 20
_PRIOR = 0.3
_USED = 15
_CORRELATED = 11
_CORRELATION = 0.2
_SEPARATION = 0.4  # between the classes, in σ, in every used column
_CELLS = 8192  # of the tabulated ECDF
_REACH = 8.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """What is ordinary on a stream. `own` replaces the fixed nuisance by random weeks, wander and one-day incidents."""

    name: str
    heavy: bool = False
    own: bool = False
    categories: int = 0
    sizes: tuple[int, int] = (1000, 1000)
    missing: float = 0.0  # share of batches that never come


FAMILIES = (
    Family(name="base"),
    Family(name="heavy", heavy=True),
    Family(name="own", own=True),
    Family(name="base+categories", categories=10),
    Family(name="base+sizes", sizes=(200, 2000)),
    Family(name="base+missing", missing=0.05),
    Family(name="heavy+all", heavy=True, categories=10, sizes=(200, 2000), missing=0.05),
    Family(name="own+all", own=True, categories=10, sizes=(200, 2000), missing=0.05),
)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Added from batch `at` on: a shift of some columns (reached after `ramp` batches), or another class prior."""

    name: str
    at: int = REFERENCE_BATCHES + 500
    columns: int = 0
    shift: float = 0.0
    ramp: int = 0
    prior: float = _PRIOR

    def size(self, t: int) -> float:
        if t < self.at:
            return 0.0
        return self.shift * min(1.0, (t - self.at + 1) / self.ramp) if self.ramp else self.shift


DRIFTS = (
    Drift(name="0.1σ ×1", columns=1, shift=0.1),
    Drift(name="0.2σ ×1", columns=1, shift=0.2),
    Drift(name="0.5σ ×5", columns=5, shift=0.5),
    Drift(name="label .3→.4", prior=0.4),
    Drift(name="gradual ×1", columns=1, shift=0.5, ramp=60),
)


@dataclass
class World:
    """One seed of a family. Batch t is the same whenever it is asked for; drift only adds to it."""

    family: Family
    seed: int
    offsets: np.ndarray = field(init=False)
    rows: np.ndarray = field(init=False)
    present: np.ndarray = field(init=False)
    targets: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 0])
        total = REFERENCE_BATCHES + BATCHES
        self.offsets = _own(rng, total) if self.family.own else _fixed(rng, total)
        if self.family.heavy:
            self.offsets += 0.05 / np.sqrt(2.0) * rng.standard_t(4, (total, COLUMNS))  # t₄ has variance 2
        low, high = self.family.sizes
        self.rows = rng.integers(low, high + 1, total)
        self.present = rng.random(total) >= self.family.missing
        plain = [c for c in range(COLUMNS) if c not in (2, 3)]  # those wander: slow by design
        self.targets = rng.permutation(plain)
        self._shares = [rng.dirichlet(np.full(k, 3.0)) for k in rng.integers(2, 6, self.family.categories)]
        self._shares = [0.9 * s + 0.1 / len(s) for s in self._shares]
        self._wobble = 0.05 * rng.standard_normal((total, self.family.categories, 5))
        self._table = self._tabulate()

    def streams(self) -> StreamSet:
        found = [
            Stream(column=f"x{c}", measure=m, variance=1 / 12)
            for c in range(COLUMNS)
            for m in (Measure.LOCATION, Measure.SPREAD)
        ]
        for i, shares in enumerate(self._shares):
            levels = range(1 if len(shares) == 2 else len(shares))
            found += [
                Stream(
                    column=f"c{i}", measure=Measure.LEVEL, level=str(k), variance=1 / (shares[k] * (1 - shares[k])),
                    origin=float(np.log(shares[k] / (1 - shares[k]))),
                )
                for k in levels
            ]  # fmt: skip
        return StreamSet(streams=tuple(found), reference_rows=int(self.rows[:REFERENCE_BATCHES].sum()))

    def table(self, t: int, drift: Drift | None = None) -> np.ndarray:
        """The rows of batch t, shape (rows, numeric columns): for tools that need more than our statistics."""
        return self._draw(np.random.default_rng([self.seed, 1, t]), t, drift)

    def batch(self, t: int, drift: Drift | None = None) -> Observation:
        rng = np.random.default_rng([self.seed, 1, t])
        n = int(self.rows[t])
        x = self._draw(rng, t, drift)
        cell = np.clip((x + _REACH) * (_CELLS / (2 * _REACH)), 0, _CELLS - 1).astype(np.int64)
        u = self._table[np.arange(COLUMNS), cell]
        values = np.empty((COLUMNS, 2))
        values[:, 0] = u.mean(axis=0) - 0.5
        values[:, 1] = np.abs(2 * u - 1).mean(axis=0) - 0.5
        levels = [self._levels(rng, t, i) for i in range(len(self._shares))]
        together = np.concatenate([values.ravel(), *levels])
        return Observation(
            at=START + timedelta(days=t), values=together, rows=np.full(len(together), float(n)), outside=np.zeros(0)
        )

    def _draw(self, rng: np.random.Generator, t: int, drift: Drift | None) -> np.ndarray:
        n = int(self.rows[t])
        prior = drift.prior if drift and t >= drift.at else _PRIOR
        x = rng.standard_normal((n, COLUMNS), dtype=np.float32)
        common = rng.standard_normal((n, 1), dtype=np.float32)
        x[:, :_CORRELATED] *= np.float32(np.sqrt(1 - _CORRELATION))
        x[:, :_CORRELATED] += np.float32(np.sqrt(_CORRELATION)) * common
        x[:, :_USED] += np.float32(_SEPARATION) * (rng.random((n, 1)) < prior)
        offset = self.offsets[t].copy()
        if drift and drift.columns:
            offset[self.targets[: drift.columns]] += drift.size(t)
        return x + offset.astype(np.float32)

    def _levels(self, rng: np.random.Generator, t: int, i: int) -> np.ndarray:
        shares = self._shares[i]
        weight = shares * np.exp(self._wobble[t, i, : len(shares)])
        n = int(self.rows[t])
        counts = rng.multinomial(n, weight / weight.sum())
        origin = np.log(shares / (1 - shares))
        found = np.array([log_odds(float(c), n) for c in counts]) - origin
        return found[:1] if len(shares) == 2 else found

    def _tabulate(self) -> np.ndarray:
        """Mid-rank of the reference at the middle of every cell, shape (columns, cells)."""
        rows = [self._draw(np.random.default_rng([self.seed, 1, t]), t, None) for t in range(REFERENCE_BATCHES)]
        reference = np.concatenate(rows)
        middle = (np.arange(_CELLS) + 0.5) * (2 * _REACH / _CELLS) - _REACH
        return np.stack([np.searchsorted(np.sort(c), middle) / len(c) for c in reference.T])


def _fixed(rng: np.random.Generator, total: int) -> np.ndarray:
    offsets = np.zeros((total, COLUMNS))
    week = np.array([0.40, 0.40, 0.40, -0.28, -0.28, -0.28, -0.28])
    for column in (0, 1):
        offsets[:, column] = rng.permutation(week)[np.arange(total) % 7]
    for column in (2, 3):
        offsets[:, column] = _wander(rng, total, 0.8, 0.15)
    return offsets


def _own(rng: np.random.Generator, total: int) -> np.ndarray:
    """Half the columns have a random week, half wander (φ in [.3, .95]); 1% of days hit up to five columns."""
    offsets = np.zeros((total, COLUMNS))
    for column in range(COLUMNS):
        if rng.random() < 0.5:
            offsets[:, column] += rng.normal(0, 0.2, 7)[np.arange(total) % 7]
        if rng.random() < 0.5:
            offsets[:, column] += _wander(rng, total, rng.uniform(0.3, 0.95), rng.uniform(0.02, 0.15))
    for day in np.nonzero(rng.random(total) < 0.01)[0]:
        hit = rng.choice(COLUMNS, rng.integers(1, 6), replace=False)
        offsets[day, hit] += rng.normal(0, 1.0, len(hit))
    return offsets


def _wander(rng: np.random.Generator, total: int, phi: float, sd: float) -> np.ndarray:
    noise = rng.normal(0, sd * np.sqrt(1 - phi**2), total)
    values = np.empty(total)
    values[0] = rng.normal(0, sd)
    for t in range(1, total):
        values[t] = phi * values[t - 1] + noise[t]
    return values

"""What is followed from batch to batch: one number per stream, with the rows it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from monitor.domain.batch import aware
from monitor.stats.sequential.regression import Array

SMOOTHING = 0.5  # added to both counts of a log-odds: Haldane (1956), Annals of Human Genetics 20, 309


class Measure(StrEnum):
    """What a stream measures; the value of a finding's `measure`, a level following a colon."""

    LOCATION = "location"  # AUC of batch against reference, less ½
    SPREAD = "spread"  # mean |2u − 1| less ½, u the mid-rank in the reference
    LEVEL = "level"  # log-odds of a category's share
    MISSING = "missing"  # log-odds of the missing rate
    PRIOR = "prior"  # share of a class as estimated without labels, less its share on the held-out rows
    LOSS = "loss"  # mean loss relative to the expected one, less 1
    OUTSIDE = "outside"  # share of rows outside what the reference held: guarded, not a stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One number per batch. `variance` is that of one row's contribution, from the reference."""

    column: str
    measure: Measure
    variance: float
    level: str = ""
    origin: float = 0.0  # log-odds measures: the reference's log-odds, which the values are relative to
    anchor_rows: int = 0  # rows that the level 0 rests on, when it may not be learnt anew; 0 = free level

    @property
    def name(self) -> str:
        return f"{self.measure}:{self.level}" if self.level else self.measure.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A share that is 0 in the reference (rows off a constant, unseen levels, missing values): a rule of its own."""

    column: str
    what: str  # "constant", "unseen", "missing"

    @property
    def measure(self) -> str:
        return f"{Measure.OUTSIDE}:{self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSet:
    """The streams of one channel, in a fixed order. `reference_rows` bounds what is known of their origin."""

    streams: tuple[Stream, ...]
    guards: tuple[Guard, ...] = ()
    reference_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One batch. `values`, `rows` (S,): NaN and 0 where it says nothing; `outside` (G,): shares of the guards."""

    at: datetime | None
    values: Array
    rows: Array
    outside: Array

    def __post_init__(self) -> None:
        if self.at is not None:
            aware(self.at)


def log_odds(count: float, total: float) -> float:
    """Smoothed log-odds of a share: ln((count + ½)/(total − count + ½))."""
    return float(np.log((count + SMOOTHING) / (total - count + SMOOTHING)))

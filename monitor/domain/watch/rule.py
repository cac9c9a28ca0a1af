"""What the operator asks of a watch: how often it may be wrong, and what is worth an alarm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from monitor.domain.watch.season import Season
from monitor.errors import ConfigError

_RATE = re.compile(
    r"^\s*(\d+(?:\.\d+)?)\s+per\s+(?:(\d+(?:\.\d+)?)\s*)?(batch(?:es)?|hours?|days?|weeks?|months?|years?)\s*$"
)
_UNIT_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}


class Mode(StrEnum):
    """How much the detector trusts normal tails."""

    NORMAL = "normal"  # scores clipped at ±3
    FAST = "fast"  # not clipped: a batch sooner, breaks under heavy-tailed days
    STRICT = "strict"  # ranks only: any tail, one or two batches later


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarmRate:
    """At most `count` alarms without cause per `batches`, or per `period` of time."""

    count: float
    batches: float | None = None
    period: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> FalseAlarmRate:
        """Read `1 per 365 batches`, `1 per year`, `2 per 6 months`; raises ConfigError for anything else."""
        found = _RATE.match(text)
        if found is None:
            raise ConfigError(f"false alarms {text!r}: write it like `1 per year` or `1 per 365 batches`")
        count, many, unit = float(found[1]), float(found[2] or 1), found[3]
        if count <= 0 or many <= 0:
            raise ConfigError(f"false alarms {text!r}: both numbers must be above zero")
        if unit.startswith("batch"):
            return cls(count=count, batches=many)
        return cls(count=count, period=timedelta(days=many * _UNIT_DAYS[unit.rstrip("s")]))

    def batches_per_alarm(self, interval: timedelta | None) -> float:
        """The threshold A of the evidence. A rate per time needs the time from one batch to the next."""
        if self.batches is not None:
            per = self.batches
        elif interval is None or interval <= timedelta(0):
            raise ConfigError("a false-alarm rate per time needs the batches' interval: give it, or a dated warm-up")
        else:
            assert self.period is not None
            per = self.period / interval
        if per / self.count < 1:
            raise ConfigError("more than one false alarm per batch is no budget")
        return per / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    """What is different for the columns that match `pattern` (`*`, `?`, `[ab]`), or that are made of one that does.

    None: as for all.
    """

    pattern: str
    watch: bool = True
    min_effect: float | None = None
    max_distance: float | None = None

    def applies(self, column: str) -> bool:
        return fnmatchcase(column, self.pattern) or fnmatchcase(column.partition("[")[0], self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRule:
    """Everything a channel's detector is told. The defaults are those of inputs; see `loss_rule`."""

    false_alarms: FalseAlarmRate
    incidents: FalseAlarmRate  # false one-day findings: a budget of their own
    season: Season = Season.NONE
    mode: Mode = Mode.NORMAL
    min_effect: float = 0.03  # AUC scale, share, or relative loss: the smallest change worth an alarm
    max_distance: float = 0.10  # AUC scale or share, from the frozen reference
    distance_batches: int | None = None  # trailing batches; by default 7, or one season if that is longer
    interval: timedelta | None = None  # from one batch to the next; by default the median seen so far
    lags: bool = True  # the last values explain the next one: ordinary wander is no change
    two_sided: bool = True  # False: only increases count
    columns: tuple[ColumnRule, ...] = ()  # the last one that applies and says something counts

    @property
    def window(self) -> int:
        """Batches that the distance averages over."""
        return self.distance_batches or max(7, min(self.season.slots, 24))

    def watches(self, column: str) -> bool:
        """Is the column watched at all?"""
        return next((each.watch for each in reversed(self.columns) if each.applies(column)), True)

    def limits(self, column: str) -> tuple[float, float]:
        """Smallest effect and largest distance of one column."""
        own = [each for each in reversed(self.columns) if each.applies(column)]
        effect = next((each.min_effect for each in own if each.min_effect is not None), self.min_effect)
        return effect, next((each.max_distance for each in own if each.max_distance is not None), self.max_distance)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        plain = asdict(self)
        for rate in (plain["false_alarms"], plain["incidents"]):
            rate["period"] = _seconds(rate["period"])
        return {**plain, "interval": _seconds(plain["interval"])}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> WatchRule:
        rates = {
            name: FalseAlarmRate(**{**plain[name], "period": _span(plain[name]["period"])})
            for name in ("false_alarms", "incidents")
        }
        own = {"season": Season(plain["season"]), "mode": Mode(plain["mode"]), "interval": _span(plain["interval"])}
        columns = tuple(ColumnRule(**each) for each in plain["columns"])
        return cls(**{**plain, **rates, **own, "columns": columns})


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)

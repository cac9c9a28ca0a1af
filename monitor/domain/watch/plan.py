"""A channel's streams and rule as arrays: what does not change from batch to batch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.domain.watch.history import LAGS
from monitor.domain.watch.rule import Mode, WatchRule
from monitor.domain.watch.season import Season
from monitor.domain.watch.state import DetectorState, fresh
from monitor.domain.watch.streams import Measure, StreamSet
from monitor.stats.sequential import evidence
from monitor.stats.sequential.regression import Array, Mask

# Prior variances of the coefficients, in units of the noise: wide for what the data must set, one for lags, whose
# coefficients are about 1 in size whatever the unit.
_WIDE = 1e4
_LAG_PRIOR = 1.0
_CURVE_PRIOR = 100.0
_CURVE = 2  # regressors of a spread stream: the location of its column and its square
_POOLED_SHARE = 0.1
_FEWEST_POOLED = 8  # streams; of fewer, each one's own evidence is as good
_ANCHOR_ERRORS = 2.0  # a level that may not be relearnt moves within this many standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Arrays have the shape (S,). `partner` is the location stream of a spread stream's column, −1 for others.

    `fingerprint` changes when a stored state no longer fits: other streams, or another layout of the regressors.
    """

    streams: StreamSet
    rule: WatchRule
    variance: Array
    origin: Array
    is_log_odds: Mask
    anchor_rows: Array
    partner: npt.NDArray[np.intp]
    column: npt.NDArray[np.intp]
    min_effect: Array
    max_distance: Array
    fingerprint: str

    @classmethod
    def of(cls, streams: StreamSet, rule: WatchRule) -> Plan:
        each = streams.streams
        location = {s.column: i for i, s in enumerate(each) if s.measure is Measure.LOCATION}
        limits = np.array([rule.limits(s.column) for s in each], dtype=np.float64).reshape(len(each), 2)
        names = {name: i for i, name in enumerate(dict.fromkeys(s.column for s in each))}
        return cls(
            streams=streams,
            rule=rule,
            variance=np.array([s.variance for s in each], dtype=np.float64),
            origin=np.array([s.origin for s in each], dtype=np.float64),
            is_log_odds=np.array([s.measure in (Measure.LEVEL, Measure.MISSING) for s in each], dtype=bool),
            anchor_rows=np.array([s.anchor_rows for s in each], dtype=np.float64),
            partner=np.array(
                [location.get(s.column, -1) if s.measure is Measure.SPREAD else -1 for s in each], dtype=np.intp
            ),
            column=np.array([names[s.column] for s in each], dtype=np.intp),
            min_effect=limits[:, 0],
            max_distance=limits[:, 1],
            fingerprint=_fingerprint(streams, rule),
        )

    @property
    def components(self) -> int:
        return 1 if self.rule.mode is Mode.STRICT else evidence.components(two_sided=self.rule.two_sided)

    @property
    def pooled_share(self) -> float:
        """Of the budget, for what all streams show together. Ranks of single streams say nothing about that."""
        many = len(self.variance) >= _FEWEST_POOLED and self.rule.two_sided
        return _POOLED_SHARE if many and self.rule.mode is not Mode.STRICT else 0.0

    def start(self, unit_rows: float) -> DetectorState:
        """A state that has seen nothing; `unit_rows` is the usual size of a batch."""
        state = fresh(
            prior=self._prior(unit_rows),
            components=self.components,
            guards=len(self.streams.guards),
            slots=self.rule.season.slots,
            ranks=self.rule.mode is Mode.STRICT,
            pooled=self.pooled_share > 0,
            unit_rows=unit_rows,
        )
        return state

    def unit(self, unit_rows: float) -> Array:
        """A stream's value per unit of the detector's scale."""
        return np.sqrt(self.variance / unit_rows)

    def level_bound(self, unit_rows: float) -> Array:
        """How far the learnt level may be from 0, in units; infinite for free levels."""
        anchored = self.anchor_rows > 0
        return np.where(anchored, _ANCHOR_ERRORS * np.sqrt(unit_rows / np.where(anchored, self.anchor_rows, 1)), np.inf)

    def natural(self, value: Array) -> Array:
        """Shifts on the scale that people read — AUC, share, relative loss — from stream values."""
        share = special.expit(self.origin + value) - special.expit(self.origin)
        return np.where(self.is_log_odds, share, value)

    def design(self, at: datetime | None, lags: Array, slot_effect: Array, value: Array, unit_rows: float) -> Array:
        """Regressors of one batch, shape (S, p): level, season, lags, and for spread streams the location's curve."""
        streams = len(self.variance)
        dummies = self.rule.season.dummies(at)
        parts = [np.ones((streams, 1)), np.broadcast_to(dummies, (streams, len(dummies)))]
        if self.rule.season is Season.HOUR_OF_WEEK:
            parts.append(slot_effect[:, None])
        if self.rule.lags:
            parts.append(lags)
        if self._has_curve:
            parts.append(self._curve(value, unit_rows))
        return np.concatenate(parts, axis=1)

    @property
    def _has_curve(self) -> bool:
        return bool((self.partner >= 0).any())

    def _curve(self, value: Array, unit_rows: float) -> Array:
        paired = self.partner >= 0
        location = np.where(paired, value[self.partner], 0.0)
        location = np.where(np.isfinite(location), location, 0.0)  # no value: the spread stream has none either
        unit = self.unit(unit_rows)
        return np.stack([location, np.square(location)], axis=1) / unit[:, None]

    def _prior(self, unit_rows: float) -> Array:
        streams = len(self.variance)
        anchored = self.anchor_rows > 0
        level = np.where(anchored, unit_rows / np.where(anchored, self.anchor_rows, 1.0), _WIDE)
        columns = [level[:, None], np.full((streams, self.rule.season.regressors), _WIDE)]
        if self.rule.season is Season.HOUR_OF_WEEK:
            columns.append(np.full((streams, 1), _LAG_PRIOR))
        if self.rule.lags:
            columns.append(np.full((streams, LAGS), _LAG_PRIOR))
        if self._has_curve:
            columns.append(np.full((streams, _CURVE), _CURVE_PRIOR))
        return np.concatenate(columns, axis=1)


def _fingerprint(streams: StreamSet, rule: WatchRule) -> str:
    layout = [
        [asdict(s) for s in streams.streams],
        [asdict(g) for g in streams.guards],
        [rule.season, rule.mode, rule.lags, rule.two_sided, rule.window],
    ]
    return hashlib.blake2b(json.dumps(layout).encode(), digest_size=16).hexdigest()

"""The reference's own rows as a sequence of small pieces in order of time: what a detector warms up from.

How long a live batch will be is unknown when a model is trained. So the pieces are small, and once the first batch is
there they are put together to its length: a stream's values are means or shares, which can be merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np
import numpy.typing as npt

from monitor.domain.batch import Window
from monitor.domain.watch.streams import SMOOTHING, Measure, Observation, Stream, StreamSet
from monitor.stats.sequential.regression import Array

_MOST = 400  # pieces, as far as their length allows: enough for a year of days
_FEWEST = 12  # batches that a warm-up must have: two more than there are regressors of a channel without season
_SHORTER = 30
_DAY = timedelta(days=1)
_LENGTHS = (60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)  # seconds, the smallest that leaves no more than `_MOST`

Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where the rows, put into `order`, are cut: piece k is from `bounds[k]` to `bounds[k + 1]`, from `starts[k]` on.

    `starts` (P,) are seconds since 1970, NaN without timestamps; `seconds` is the length of a piece, 0 without.
    """

    order: npt.NDArray[np.intp]
    bounds: npt.NDArray[np.intp]
    starts: Array
    seconds: float

    @classmethod
    def of(cls, rows: int, times: Times | None) -> Cut:
        """Cut by `times` (rows,), UTC; without times into pieces of equal size, in the order given."""
        if times is None or rows == 0:
            count = min(rows, _MOST)
            bounds = np.linspace(0, rows, count + 1).round().astype(np.intp)
            return cls(order=np.arange(rows), bounds=bounds, starts=np.full(count, np.nan), seconds=0.0)
        seconds: Array = times.astype("datetime64[us]").astype(np.int64) / 1e6
        order = np.argsort(seconds, kind="stable")
        slots, length = _slots(seconds[order])
        first = np.flatnonzero(np.diff(slots, prepend=slots[0] - 1))
        return cls(
            order=order, bounds=np.append(first, rows), starts=slots[first].astype(np.float64) * length, seconds=length
        )

    def __iter__(self) -> Iterator[tuple[datetime | None, slice]]:
        """Start and place of each piece among the rows in `order`."""
        for k, start in enumerate(self.starts.tolist()):
            yield _moment(start), slice(int(self.bounds[k]), int(self.bounds[k + 1]))


def _slots(seconds: Array) -> tuple[npt.NDArray[np.int64], float]:
    for length in _LENGTHS:
        slots = np.floor(seconds / length).astype(np.int64)
        if len(np.unique(slots)) <= _MOST:
            return slots, float(length)
    length = max(_LENGTHS[-1], int(np.ceil((seconds[-1] - seconds[0]) / _MOST)))
    return np.floor(seconds / length).astype(np.int64), float(length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Observations of one channel. `starts` (P,) and `seconds` as in `Cut`, `values` and `rows` (P, S)."""

    starts: Array
    seconds: float
    values: Array
    rows: Array

    @classmethod
    def of(cls, observations: Iterable[Observation], streams: StreamSet, seconds: float) -> Pieces:
        seen = list(observations)
        shape = (len(seen), len(streams.streams))
        return cls(
            starts=np.array([np.nan if o.at is None else o.at.timestamp() for o in seen], dtype=np.float64),
            seconds=seconds,
            values=np.array([o.values for o in seen], dtype=np.float64).reshape(shape),
            rows=np.array([o.rows for o in seen], dtype=np.float64).reshape(shape),
        )

    def batches(self, streams: StreamSet, window: Window, rows: int, zone: tzinfo) -> list[Observation]:
        """Put together to the length of a batch over `window`, or of `rows` rows where the pieces have no times.

        Their phase is that of the batch, their starts are in `zone`. The last one without times may be shorter. When
        these would be too few to learn from, about 30 shorter ones without starts: they tell where a batch should
        lie, but of its dispersion only what sampling adds.
        """
        group = self._groups(window, rows)
        numbers, dated = np.unique(group), bool(self.seconds)
        if len(numbers) < _FEWEST:
            group = np.arange(len(self.starts)) * _SHORTER // max(len(self.starts), _SHORTER)
            numbers, dated = np.unique(group), False
        outside = np.zeros(len(streams.guards))
        at = [self._start(window, int(g), zone) if dated else None for g in numbers]
        values, weights = self._merged(streams.streams, [group == g for g in numbers])
        return [
            Observation(at=a, values=v, rows=w, outside=outside) for a, v, w in zip(at, values, weights, strict=True)
        ]

    def _groups(self, window: Window, rows: int) -> npt.NDArray[np.int64]:
        """For each piece the number of the batch that holds its middle."""
        if self.seconds:
            middle = self.starts + self.seconds / 2
            return np.floor((middle - window.start.timestamp()) / self._length(window)).astype(np.int64)
        usual = float(np.median(self.rows.max(axis=1, initial=1.0))) if len(self.rows) else 1.0
        return np.arange(len(self.starts), dtype=np.int64) // max(1, round(rows / usual))

    def _length(self, window: Window) -> float:
        """Seconds of a batch over `window`, as whole pieces."""
        return max(1, round((window.end - window.start).total_seconds() / self.seconds)) * self.seconds

    def _start(self, window: Window, number: int, zone: tzinfo) -> datetime:
        """Of the batch with this number. Days begin at the same local time, whether or not the clocks have changed."""
        step = timedelta(seconds=self._length(window))
        if step % _DAY:
            return (window.start + number * step).astimezone(zone)
        return window.start.astimezone(zone) + number * step

    def _merged(self, streams: tuple[Stream, ...], groups: list[npt.NDArray[np.bool_]]) -> tuple[Array, Array]:
        shape = (len(groups), len(streams))
        values, rows = np.empty(shape), np.empty(shape)
        for s, stream in enumerate(streams):
            merge = _MERGES.get(stream.measure, _mean)
            for g, members in enumerate(groups):
                known = members & np.isfinite(self.values[:, s]) & (self.rows[:, s] > 0)
                rows[g, s] = self.rows[known, s].sum()
                values[g, s] = (
                    merge(self.values[known, s], self.rows[known, s], stream.origin) if known.any() else np.nan
                )
        return values, rows


def _mean(values: Array, rows: Array, origin: float) -> float:
    return float(values @ rows / rows.sum())


def _share(values: Array, rows: Array, origin: float) -> float:
    """Log-odds go back to the counts that they were made of."""
    share = 1.0 / (1.0 + np.exp(-(values + origin)))
    count = (share * (rows + 2 * SMOOTHING) - SMOOTHING).sum()
    return float(np.log((count + SMOOTHING) / (rows.sum() - count + SMOOTHING))) - origin


_MERGES = {Measure.LEVEL: _share, Measure.MISSING: _share}


def _moment(seconds: float) -> datetime | None:
    return None if np.isnan(seconds) else datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)

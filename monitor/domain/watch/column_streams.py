"""Which streams a reference's columns have, and their values in a profile: what the detector sees of the data.

Serves whatever has column references and profiles: features, scores, a label's classes or values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from monitor.domain.private import is_veiled
from monitor.domain.reference import ColumnProfile, ColumnReference
from monitor.domain.watch.streams import Guard, Measure, Observation, Stream, StreamSet, log_odds
from monitor.stats.categorical import CategoricalProfile, CategoricalReference
from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.sequential.regression import Array

_FREQUENT = 0.02  # share from which a level has a stream of its own
_MOST_LEVELS = 20  # levels with a stream of their own, the most frequent ones
_RARE_UNSEEN = 0.005  # expected share of unseen levels below which any real share of them is a finding
_TWO = 2
_REST = "(rest)"
_UNSEEN = "(unseen)"

_Values = Callable[[ColumnProfile], tuple[list[float], list[float]]]  # stream values, and the rows each rests on


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One column: its streams and guards, and how to read them from a profile."""

    streams: list[Stream]
    values: _Values
    guards: list[Guard]
    outside: Callable[[ColumnProfile], list[float]]


class ColumnStreams:
    """The streams of some columns. `leave_out` names columns not to be watched, such as those of the calendar."""

    def __init__(self, columns: Mapping[str, ColumnReference], rows: int, *, leave_out: Collection[str] = ()) -> None:
        self._columns = {name: _column(name, ref) for name, ref in columns.items() if name not in leave_out}
        self.set = StreamSet(
            streams=tuple(stream for column in self._columns.values() for stream in column.streams),
            guards=tuple(guard for column in self._columns.values() for guard in column.guards),
            reference_rows=rows,
        )

    def observe(self, columns: Mapping[str, ColumnProfile], at: datetime | None) -> Observation:
        """The values in one batch's profile; a column without values in it says nothing (NaN)."""
        values: list[float] = []
        rows: list[float] = []
        outside: list[float] = []
        for name, column in self._columns.items():
            found, n = column.values(columns[name])
            values += found
            rows += n
            outside += column.outside(columns[name])
        return Observation(
            at=at,
            values=np.array(values, dtype=np.float64),
            rows=np.array(rows, dtype=np.float64),
            outside=np.array(outside, dtype=np.float64),
        )


def _column(name: str, ref: ColumnReference) -> _Column:
    data = _numeric(name, ref) if isinstance(ref, NumericReference) else _categorical(name, ref)
    return _with_missing(name, data, ref)


def _with_missing(name: str, data: _Column, ref: ColumnReference) -> _Column:
    """A missing rate is a stream where the reference has missing values, and a guard where it has none."""
    total = ref.n + ref.missing
    if total == 0 or ref.n == 0:
        return data
    if ref.missing == 0:

        def outside(profile: ColumnProfile) -> list[float]:
            return [*data.outside(profile), _share(profile.missing, profile.n + profile.missing)]

        guards = [*data.guards, Guard(column=name, what="missing")]
        return _Column(streams=data.streams, values=data.values, guards=guards, outside=outside)
    stream, origin = _share_stream(name, Measure.MISSING, "", ref.missing, total)

    def values(profile: ColumnProfile) -> tuple[list[float], list[float]]:
        found, n = data.values(profile)
        rows = profile.n + profile.missing
        rate = log_odds(profile.missing, rows) - origin if rows else float("nan")
        return [*found, rate], [*n, float(rows)]

    return _Column(streams=[*data.streams, stream], values=values, guards=data.guards, outside=data.outside)


def _numeric(name: str, ref: NumericReference) -> _Column:
    ecdf = ref.ecdf
    if ecdf.points.size == 0:
        return _nothing(name, "present")
    if ecdf.points.size == 1:
        return _constant(name)
    at_point, in_gap = ecdf.mid_ranks
    weight = (ecdf.upto - ecdf.below).astype(np.float64)
    weight /= weight.sum()
    scores = ((at_point, in_gap), (np.abs(2 * at_point - 1), np.abs(2 * in_gap - 1)))
    centres = [float(weight @ at) for at, _ in scores]
    spreads = [float(weight @ np.square(at - c)) for (at, _), c in zip(scores, centres, strict=True)]
    measures = (Measure.LOCATION, Measure.SPREAD)
    held = [0] if ecdf.points.size == _TWO else [0, 1]  # of two values the location says it all
    of_upto = np.stack([scores[i][0] - scores[i][1][1:] for i in held])
    of_below = np.stack([scores[i][1][:-1] - scores[i][0] for i in held])
    together = of_upto + of_below
    last = np.array([scores[i][1][-1] - centres[i] for i in held])

    def values(profile: ColumnProfile) -> tuple[list[float], list[float]]:
        assert isinstance(profile, NumericProfile)
        if profile.n == 0:
            return [float("nan")] * len(held), [0.0] * len(held)
        upto = profile.upto.astype(np.float64)  # summation by parts, see `stats.ecdf.mean_score`
        same = profile.upto is profile.below
        total = together @ upto if same else of_upto @ upto + of_below @ profile.below.astype(np.float64)
        return list((total / profile.n + last).tolist()), [float(profile.n)] * len(held)

    streams = [Stream(column=name, measure=measures[i], variance=spreads[i]) for i in held]
    return _Column(streams=streams, values=values, guards=[], outside=_never)


def _constant(name: str) -> _Column:
    def outside(profile: ColumnProfile) -> list[float]:
        assert isinstance(profile, NumericProfile)
        on_it = int(profile.upto[0] - profile.below[0])
        return [_share(profile.n - on_it, profile.n)]

    guards = [Guard(column=name, what="constant")]
    return _Column(streams=[], values=_no_values, guards=guards, outside=outside)


def _categorical(name: str, ref: CategoricalReference) -> _Column:
    if ref.n == 0:
        return _nothing(name, "present")
    groups = _groups(ref)
    parts = [_share_stream(name, Measure.LEVEL, level, int(ref.counts[at].sum()), ref.n) for level, at in groups]
    singletons = int((ref.counts == 1).sum())
    open_ended = singletons / ref.n >= _RARE_UNSEEN  # Good (1953): the expected share of levels not seen yet
    if open_ended:
        parts.append(_share_stream(name, Measure.LEVEL, _UNSEEN, singletons, ref.n))

    def values(profile: ColumnProfile) -> tuple[list[float], list[float]]:
        assert isinstance(profile, CategoricalProfile)
        if profile.n == 0:
            return [float("nan")] * len(parts), [0.0] * len(parts)
        counts = [int(profile.counts[at].sum()) for _, at in groups]
        counts += [profile.n_unseen] if open_ended else []
        odds = [log_odds(c, profile.n) - origin for c, (_, origin) in zip(counts, parts, strict=True)]
        return odds, [float(profile.n)] * len(parts)

    def outside(profile: ColumnProfile) -> list[float]:
        assert isinstance(profile, CategoricalProfile)
        return [_share(profile.n_unseen, profile.n)]

    streams = [stream for stream, _ in parts]
    if open_ended:
        return _Column(streams=streams, values=values, guards=[], outside=_never)
    return _Column(streams=streams, values=values, guards=[Guard(column=name, what="unseen")], outside=outside)


def _groups(ref: CategoricalReference) -> list[tuple[str, Array]]:
    """Frequent levels, and the rest together if it is frequent: names and positions. Of two groups one says it all."""
    share = ref.counts / ref.n
    order = np.argsort(-share, kind="stable")
    frequent = [i for i in order[:_MOST_LEVELS] if share[i] >= _FREQUENT]
    groups: list[tuple[str, Array]] = [(_shown(ref.levels, i), np.array([i])) for i in sorted(frequent)]
    rest = np.setdiff1d(np.arange(len(ref.levels)), frequent)
    if share[rest].sum() >= _FREQUENT:
        groups.append((_REST, rest))
    if len(ref.levels) == 1 or len(groups) == 1:
        return groups[:0] if share[groups[0][1]].sum() >= 1 - 1 / ref.n else groups
    return groups[1:] if len(groups) == _TWO and len(ref.levels) == _TWO else groups


def _shown(levels: Sequence[str], place: int) -> str:
    return f"#{place + 1}" if is_veiled(levels[place]) else levels[place]


def _share_stream(column: str, measure: Measure, level: str, count: int, total: int) -> tuple[Stream, float]:
    """A log-odds stream and its origin. A log-odds has variance 1/(n·p·(1 − p)), by the delta method."""
    origin = log_odds(count, total)
    p = (count + 0.5) / (total + 1.0)
    return Stream(column=column, measure=measure, level=level, variance=1.0 / (p * (1.0 - p)), origin=origin), origin


def _nothing(name: str, what: str) -> _Column:
    """A column without any value in the reference: values that appear are a finding."""

    def outside(profile: ColumnProfile) -> list[float]:
        return [_share(profile.n, profile.n + profile.missing)]

    return _Column(streams=[], values=_no_values, guards=[Guard(column=name, what=what)], outside=outside)


def _no_values(profile: ColumnProfile) -> tuple[list[float], list[float]]:
    return [], []


def _never(profile: ColumnProfile) -> list[float]:
    return []


def _share(count: int, total: int) -> float:
    return count / total if total else float("nan")

"""What the detector says on the real streams: alarms with date and columns, and halves in random order.

python -m benchmarks.detection.real ../shared/data
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from monitor.domain.reference import Reference
from monitor.domain.schema import Kind, Schema
from monitor.domain.verdict import Verdict
from monitor.domain.watch.calendar import calendar_columns
from monitor.domain.watch.watch import Watch


@dataclass(frozen=True, kw_only=True)
class RealStream:
    """`every`: rows per batch, or a pandas period. The reference is the first fifth, or what comes before `until`."""

    name: str
    file: str
    leave_out: tuple[str, ...]
    every: int | str
    categorical: tuple[str, ...] = ()
    season: str = "none"
    until: str | None = None


STREAMS = (
    RealStream(
        name="elec2 weekly", file="elec2", leave_out=("class", "timestamp", "date"), every="7D", categorical=("day",),
    ),
    RealStream(name="noaa", file="noaa_weather", leave_out=("target", "timestamp"), every=145),
    RealStream(
        name="bike daily", file="bike_sharing", every="1D", season="weekday",
        leave_out=("cnt", "timestamp", "instant", "yr", "casual", "registered", "dteday"),
        categorical=("weathersit", "season"), until="2011-06-01",
    ),
    RealStream(name="insects", file="insects_gradual_balanced", leave_out=("class", "seq"), every=193),
    RealStream(name="digits", file="digits_mnist_to_usps", leave_out=("label", "seq", "source"), every=144),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Prepared:
    schema: Schema
    reference: pd.DataFrame
    batches: list[tuple[datetime | None, pd.DataFrame]]  # of the reference first, then live
    reference_batches: int
    calendar: tuple[str, ...]


def prepare(stream: RealStream, folder: Path) -> Prepared:
    frame = pd.read_parquet(folder / f"{stream.file}.parquet")
    features = [c for c in frame.columns if c not in stream.leave_out]
    kinds = {c: Kind.CATEGORICAL if c in stream.categorical else _kind(frame[c]) for c in features}
    schema = Schema(features=kinds)
    times = None
    if "timestamp" in frame:
        times = pd.to_datetime(frame["timestamp"], utc=True)
    split = int((times < pd.Timestamp(stream.until, tz="UTC")).sum()) if stream.until else len(frame) // 5
    calendar: tuple[str, ...] = ()
    if times is not None:
        calendar = calendar_columns(frame[:split], schema, times[:split].dt.tz_localize(None).to_numpy())
    before, after = _cut(frame[:split], times, stream.every), _cut(frame[split:], times, stream.every)
    return Prepared(
        schema=schema, reference=frame[:split], batches=before + after, reference_batches=len(before), calendar=calendar
    )


def alarms(prepared: Prepared, *, season: str, min_effect: float = 0.03, rate: str = "1 per 365 batches") -> list[dict]:
    """Every alarm, acknowledged at once; and the batches at which columns went beyond or came back."""
    reference = Reference.fit(prepared.reference, prepared.schema)
    watch = Watch(reference, false_alarms=rate, season=season, min_effect=min_effect, leave_out=prepared.calendar)
    profiles = [(at, reference.profile(rows)) for at, rows in prepared.batches]
    watch.warm_up(profiles[: prepared.reference_batches])
    found, beyond, row = [], set(), len(prepared.reference)
    for i, (at, profile) in enumerate(profiles[prepared.reference_batches :]):
        verdict = watch.update(profile, at)
        event = {"batch": i, "row": row, "at": at and at.date().isoformat()}
        row += profile.rows
        if verdict.verdict is Verdict.DRIFT:
            columns = [
                f"{c.name}.{c.measure} {c.shift:+.2f} since {c.since and c.since.date()}" for c in verdict.columns
            ]
            found.append({**event, "alarm": columns, "why": verdict.reason})
            watch.acknowledge()
        if verdict.incidents:
            found.append({**event, "incident": [f"{c.name}.{c.measure} {c.shift:+.2f}" for c in verdict.incidents]})
        now = {c.name for c in verdict.beyond}
        if now - beyond:
            found.append({**event, "beyond": sorted(now - beyond)})
        beyond = now
    return found


def halves(prepared: Prepared, rng: np.random.Generator, *, batches: int = 20) -> int:
    """Alarms when one random half of the reference is compared with the other, in batches of random rows."""
    order = rng.permutation(len(prepared.reference))
    middle = len(order) // 2
    reference = Reference.fit(prepared.reference.iloc[order[:middle]], prepared.schema)
    watch = Watch(reference, leave_out=prepared.calendar, min_effect=0.0)
    warm = np.array_split(order[:middle], batches)
    watch.warm_up((None, reference.profile(prepared.reference.iloc[part])) for part in warm)
    live = np.array_split(order[middle:], batches)
    verdicts = [watch.update(reference.profile(prepared.reference.iloc[part])) for part in live]
    return sum(v.raised for v in verdicts)


def _kind(column: pd.Series) -> Kind:
    if isinstance(column.iloc[0], bytes | np.ndarray | list):
        return Kind.IMAGE
    return Kind.NUMERIC if pd.api.types.is_numeric_dtype(column) else Kind.CATEGORICAL


def _cut(frame: pd.DataFrame, times: pd.Series | None, every: int | str) -> list[tuple[datetime | None, pd.DataFrame]]:
    if isinstance(every, int) or times is None:
        parts = [frame.iloc[i : i + int(every)] for i in range(0, len(frame) - int(every) // 2, int(every))]
        return [(None, part) for part in parts]
    here = times[frame.index]
    start = here.dt.floor("D").min()
    step = pd.Timedelta(every)
    number = (here - start) // step
    return [(_moment(start + n * step), frame[number == n]) for n in sorted(number.unique())]


def _moment(stamp: pd.Timestamp) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=stamp.timestamp())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--streams", default=",".join(s.name for s in STREAMS))
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    for stream in [s for s in STREAMS if s.name in options.streams.split(",")]:
        prepared = prepare(stream, options.folder)
        live = len(prepared.batches) - prepared.reference_batches
        print(f"== {stream.name}: {prepared.reference_batches} + {live} batches, calendar: {prepared.calendar}")
        for event in alarms(prepared, season=stream.season):
            print("  ", event)
        noisy = sum(halves(prepared, np.random.default_rng([7, draw])) > 0 for draw in range(options.draws))
        print(f"   halves in random order: an alarm in {noisy} of {options.draws} draws")


if __name__ == "__main__":
    main()

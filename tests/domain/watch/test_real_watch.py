"""The detector on recorded streams: what is known to have happened is found, and shuffled rows are quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from benchmarks.detection.real import STREAMS, alarms, halves, prepare

pytestmark = pytest.mark.real
BY_NAME = {stream.name: stream for stream in STREAMS}


def prepared(name, real_stream):
    stream = BY_NAME[name]
    return stream, prepare(stream, real_stream(stream.file).parent)


def raised(events):
    return [event for event in events if "alarm" in event]


@pytest.mark.parametrize("name", ["elec2 weekly", "noaa", "bike daily", "insects"])
def test_halves_in_random_order_raise_no_alarm(name, real_stream):
    _, data = prepared(name, real_stream)
    assert [halves(data, np.random.default_rng([7, draw])) for draw in range(3)] == [0, 0, 0]


def test_the_opening_of_the_market_is_found_within_three_weekly_batches(real_stream):
    stream, data = prepared("elec2 weekly", real_stream)
    assert data.calendar == ("day", "period")
    opening = datetime(1997, 5, 2, tzinfo=UTC)
    found = [e for e in raised(alarms(data, season=stream.season)) if "vicprice" in str(e["alarm"])]
    at = [at for at, _ in data.batches[data.reference_batches :]]
    first_after = next(
        i for i, start in enumerate(at) if (start - opening).days > -7
    )  # the week that holds the opening
    assert first_after <= found[0]["batch"] < first_after + 3


@pytest.mark.parametrize("calendar", [True, False])
def test_missing_days_of_the_bikes_are_no_weekday_alarm(calendar, real_stream):
    stream, data = prepared("bike daily", real_stream)
    assert data.calendar == ("mnth", "hr", "weekday")
    if not calendar:
        data = replace(data, calendar=("mnth", "hr"))
    events = alarms(data, season=stream.season)
    assert "weekday" not in str(raised(events))
    beyond = {name for event in events if event["at"] < "2011-09-01" for name in event.get("beyond", ())}
    assert {"temp", "atemp"} <= beyond


def test_the_warming_of_the_insects_is_found(real_stream):
    stream, data = prepared("insects", real_stream)
    rows = [event["row"] for event in raised(alarms(data, season=stream.season))]
    assert rows and rows[0] <= 14_028 + 0.05 * 24_150

from __future__ import annotations

import numpy as np
import pytest

from monitor.domain.schema import Schema
from monitor.domain.watch.calendar import calendar_columns
from monitor.errors import DataError

HOURLY = np.datetime64("2024-01-01T00:00:00") + np.arange(24 * 7 * 20) * np.timedelta64(1, "h")
SECONDS = HOURLY.astype(np.int64)
DAYS = SECONDS // 86400
RNG = np.random.default_rng(1)

COLUMNS = {
    "hour": (SECONDS % 86400 // 3600, True),
    "period": (SECONDS % 86400 / 86400, True),
    "weekday": ((DAYS + 3) % 7, True),
    "weekday_name": (np.array(["mo", "tu", "we", "th", "fr", "sa", "su"])[(DAYS + 3) % 7], True),
    "weekend_night": (((DAYS + 3) % 7 >= 5) & (SECONDS % 86400 < 6 * 3600), True),
    "local_weekday": ((((SECONDS + 10 * 3600) // 86400) + 3) % 7, True),
    "month": (HOURLY.astype("datetime64[M]").astype(int) % 12 + 1, True),
    "constant": (np.full(len(HOURLY), 7), False),
    "trend": (np.arange(len(HOURLY)) * 1.0, False),
    "daily_weather": (RNG.integers(0, 5, int(DAYS.max() - DAYS.min()) + 1)[DAYS - DAYS.min()], False),
    "quarter_of_stock": ((DAYS - DAYS.min()) // 50, False),
    "noise": (RNG.normal(size=len(HOURLY)), False),
    "almost_hour": (np.where(RNG.random(len(HOURLY)) < 0.05, 99, SECONDS % 86400 // 3600), False),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_calendar_columns_are_those_that_the_moment_tells(name):
    values, expected = COLUMNS[name]
    kind = "categorical" if values.dtype.kind in "bU" else "numeric"
    found = calendar_columns({name: values}, Schema(features={name: kind}), HOURLY)
    assert found == ((name,) if expected else ())


def test_a_column_of_months_needs_two_years_unless_it_is_their_number():
    days = np.datetime64("2022-01-01") + np.arange(3 * 365)
    season = np.array(["w", "w", "s", "s", "s", "u", "u", "u", "a", "a", "a", "w"])
    values = season[days.astype("datetime64[M]").astype(int) % 12]
    schema = Schema(features={"season": "categorical"})
    assert calendar_columns({"season": values}, schema, days) == ("season",)
    assert calendar_columns({"season": values[:365]}, schema, days[:365]) == ()


def test_a_wrong_number_of_moments_is_refused():
    with pytest.raises(DataError, match="3 rows, but 2 timestamps"):
        calendar_columns({"x": np.arange(3.0)}, Schema(features={"x": "numeric"}), HOURLY[:2])

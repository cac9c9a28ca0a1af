"""Timestamps: zones, texts, changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.validation.times import times
from monitor.adapters.validation.typed import Typed
from monitor.errors import DataError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def read(values: object, *, timezone: str | None = None, dtype: object = None) -> Typed:
    return times(pl.Series("at", values, dtype=dtype), "t.parquet", timezone=timezone)


def found(typed: Typed) -> list[tuple[str, list[int]]]:
    return [(f.reason.value, f.bad.nonzero()[0].tolist()) for f in typed.findings]


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T12:00:00Z",
        "2024-05-01 12:00:00+00:00",
        "2024-05-01T12:00Z",
        "2024-05-01T14:00:00.000+02:00",
        "2024-05-01T07:30:00-0430",
        "2024-05-01 12:00:00 UTC",
        " 2024-05-01T13:00:00,000000+01 ",
    ],
)
def test_one_moment_in_many_spellings(text):
    assert read([text]).values.to_pylist() == [NOON]


@given(
    st.lists(
        st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)).flatmap(
            lambda t: st.integers(-14 * 60, 14 * 60).map(lambda m: t.replace(tzinfo=timezone(timedelta(minutes=m))))
        ),
        min_size=1,
        max_size=10,
    )
)
def test_iso_texts_of_any_offset_are_the_same_moment(moments):
    assert read([t.isoformat() for t in moments]).values.to_pylist() == [t.astimezone(UTC) for t in moments]


@pytest.mark.parametrize("values", [[datetime(2024, 5, 1, 12)], ["2024-05-01 12:00"], ["2024-05-01", None]])
def test_without_zone_the_file_is_refused_and_the_remedy_named(values):
    with pytest.raises(DataError, match=r"column 'at': the timestamps have no zone; .*`schema.timezone: UTC`"):
        read(values)


@pytest.mark.parametrize("value", [datetime(2024, 5, 1, 14), "2024-05-01 14:00"])
def test_with_the_zone_of_the_schema_they_are_placed(value):
    assert read([value], timezone="Europe/Berlin").values.to_pylist() == [NOON]


def test_a_date_is_its_midnight_in_the_zone():
    assert read([date(2024, 5, 1)], timezone="UTC").values.to_pylist() == [NOON.replace(hour=0)]
    assert read(["2024-05-01"], timezone="UTC").values.to_pylist() == [NOON.replace(hour=0)]


def test_local_times_that_exist_twice_or_not_at_all_are_found_not_guessed():
    values = [datetime(2024, 3, 31, 2, 30), datetime(2024, 10, 27, 2, 30), datetime(2024, 3, 31, 3, 30)]
    for form in (values, [v.isoformat() for v in values]):
        typed = read(form, timezone="Europe/Berlin")
        assert found(typed) == [("clock_change", [0, 1])]
        assert typed.values.to_pylist() == [None, None, datetime(2024, 3, 31, 1, 30, tzinfo=UTC)]


def test_a_zone_in_the_text_wins_over_the_schema():
    typed = read(["2024-05-01T12:00Z", "2024-05-01T14:00"], timezone="Europe/Berlin")
    assert typed.values.to_pylist() == [NOON, NOON]


def test_single_texts_without_zone_among_others_with_one_are_found():
    typed = read(["2024-05-01T12:00Z", "2024-05-01T14:00"])
    assert found(typed) == [("no_timezone", [1])]


def test_what_is_no_time_is_found_and_missing_is_another_reason():
    typed = read(
        [
            "2024-05-01T12:00Z",
            "yesterday",
            "2024-02-30T00:00Z",
            "",
            None,
            "01/05/2024",
            "2024-05-01T25:00Z",
            "0001-01-01T00:00+14:00",
        ]
    )
    assert found(typed) == [("bad_timestamp", [1, 2, 5, 6, 7]), ("missing_timestamp", [3, 4])]
    assert typed.findings[0].detail(1) == "'yesterday' is not an ISO 8601 date or time"


def test_missing_times_may_be_allowed():
    assert times(pl.Series("at", [None, NOON]), "t", timezone=None, required=False).findings == ()
    assert times(pl.Series("at", [None, None]), "t", timezone=None, required=False).values.null_count == 2


def test_nanoseconds_and_other_zones_become_utc_microseconds():
    berlin = pl.Series([NOON]).dt.convert_time_zone("Europe/Berlin").cast(pl.Datetime("ns", "Europe/Berlin"))
    assert read(berlin).values.to_pylist() == [NOON]


def test_numbers_are_no_times():
    with pytest.raises(DataError, match=r"column 'at': wrong type: dates and times .* expected, the file holds Int64"):
        read([1_700_000_000])


@pytest.mark.parametrize("far", [2**62, 2**63 - 1, -(2**63) + 1, -(2**62)])
@pytest.mark.parametrize("dtype", [pl.Datetime("us", "UTC"), pl.Datetime("ms", "Asia/Tokyo"), pl.Datetime("us")])
def test_a_moment_that_fits_no_calendar_is_found(far, dtype):
    typed = read(pl.Series("at", [0, far, None], dtype=pl.Int64).cast(dtype), timezone="UTC")
    assert found(typed) == [("bad_timestamp", [1]), ("missing_timestamp", [2])]
    assert typed.values.to_pylist() == [datetime(1970, 1, 1, tzinfo=UTC), None, None]
    assert typed.findings[0].detail(1) == f"{far} is outside the years 1 to 9999"

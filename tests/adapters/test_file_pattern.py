"""Configured paths: which files match, what they are called, which window they promise."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.file_pattern import FilePattern
from monitor.errors import ConfigError


def parse(path: str, timezone: str | None = None) -> FilePattern:
    return FilePattern.parse(path, timezone=timezone, key="batches.path")


@pytest.mark.parametrize(
    ("path", "fixed", "depth"),
    [
        ("in/*.parquet", "in/", 1),
        ("*.csv", "", 1),
        ("in/day.csv", "in/", 1),
        ("/data/in/{year}/{month}/x.csv", "/data/in/", 3),
        ("memory://in/a-*/x?.csv", "memory://in/", 2),
        ("in/**/*.csv", "in/", None),
    ],
)
def test_the_fixed_part_ends_before_the_first_wildcard(path, fixed, depth):
    pattern = parse(path)
    assert (pattern.fixed, pattern.depth) == (fixed, depth)


@pytest.mark.parametrize(
    ("path", "yes", "no"),
    [
        ("in/*.parquet", ["a.parquet", "a b.parquet"], ["a.csv", "x/a.parquet", ".a.parquet", "_a.parquet"]),
        ("in/a?.csv", ["ab.csv"], ["a.csv", "abc.csv"]),
        ("in/[ab]*.csv", ["a.csv", "b1.csv"], ["c.csv"]),
        ("in/[!ab]*.csv", ["c.csv"], ["a.csv"]),
        ("in/**/*.csv", ["a.csv", "x/y/a.csv"], ["x/.y/a.csv", "_temporary/a.csv"]),
        ("in/*", ["a.csv"], ["a.csv.tmp", "a.csv.part", "a.csv~", ".a.csv.12ab.partial"]),
        ("in/{year}/{month}/*.csv", ["2024/5/a.csv", "2024/05/a.csv"], ["24/05/a.csv", "2024/may/a.csv"]),
        ("in/{year}/{year}-{month}.csv", ["2024/2024-05.csv"], ["2024/2023-05.csv"]),
        ("in/a+(b).csv", ["a+(b).csv"], ["aa(b).csv"]),
    ],
)
def test_matching(path, yes, no):
    pattern = parse(path)
    assert [below for below in yes + no if pattern.matches(below)] == yes


@pytest.mark.parametrize(
    ("path", "below", "name"),
    [
        ("in/*.parquet", "b 1.parquet", "b%201"),
        ("in/*.csv.gz", "b.csv.gz", "b"),
        ("in/{year}/{month}/{day}/*.parquet", "2024/05/01/part-0.parquet", "2024/05/01/part-0"),
        ("in/*", "b.parquet", "b.parquet"),  # another file may be b.csv
        ("in/day.csv", "day.csv", "day"),
        ("in/*.csv", "tag=ä,1.csv", "tag=%C3%A4,1"),
    ],
)
def test_names(path, below, name):
    assert parse(path).name(below) == name


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1), unique=True, max_size=20)
)
def test_names_are_unique_and_safe(names):
    pattern = parse("in/*.csv")
    given_names = [pattern.name(f"{n}.csv") for n in names]
    assert len(set(given_names)) == len(names)
    assert all(
        n.isascii() and n.isprintable() and len(n) < 200 and not set(n) & set(' /\\:*?"<>|') for n in given_names
    )


@pytest.mark.parametrize(
    ("path", "below", "timezone", "start", "end"),
    [
        ("{year}/{month}/{day}/*.csv", "2024/02/29/a.csv", None, (2024, 2, 29), (2024, 3, 1)),
        ("{year}-{month}.csv", "2023-12.csv", None, (2023, 12, 1), (2024, 1, 1)),
        ("{year}.csv", "2023.csv", None, (2023, 1, 1), (2024, 1, 1)),
        ("{year}{month}{day}T{hour}.csv", "20240229T23.csv", None, (2024, 2, 29, 23), (2024, 3, 1)),
        ("{day}.{month}.{year}.csv", "1.5.2024.csv", None, (2024, 5, 1), (2024, 5, 2)),
        # the clock goes forward: a day of 23 hours
        ("{year}-{month}-{day}.csv", "2024-03-31.csv", "Europe/Berlin", (2024, 3, 30, 23), (2024, 3, 31, 22)),
    ],
)
def test_windows(path, below, timezone, start, end):
    window = parse(path, timezone).window(below)
    assert window is not None
    assert (window.start, window.end) == (datetime(*start, tzinfo=UTC), datetime(*end, tzinfo=UTC))


def test_without_date_parts_no_window_is_promised():
    assert parse("in/*.csv").window("a.csv") is None


def test_an_impossible_date_is_a_value_error():
    with pytest.raises(ValueError, match=r"month must be in 1\.\.12"):
        parse("{year}-{month}.csv").window("2024-13.csv")


@pytest.mark.parametrize(
    ("path", "timezone", "message"),
    [
        (
            "in/{yaer}/*.csv",
            None,
            r"batches\.path: in/\{yaer\}/\*\.csv: \{yaer\} is not a date part; known are \{year\}",
        ),
        ("in/{csv,parquet}", None, r"is not a date part"),
        ("in/{year}/{day}.csv", None, r"\{day\} needs the larger date parts"),
        ("in/*.csv", "Mars/Olympus", r"schema\.timezone: 'Mars/Olympus' is not a time zone"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(path, timezone, message):
    with pytest.raises(ConfigError, match=message):
        parse(path, timezone)

from __future__ import annotations

import numpy as np
import pytest

from monitor.domain.reference import Reference
from monitor.domain.schema import Schema
from monitor.domain.watch.column_streams import ColumnStreams


def streams_of(frame, batch, kinds):
    reference = Reference.fit(frame, Schema(features=kinds))
    found = ColumnStreams(reference.columns, reference.rows)
    seen = found.observe(reference.profile(batch).columns, None)
    named = {
        f"{s.column}.{s.name}": (v, n, s) for s, v, n in zip(found.set.streams, seen.values, seen.rows, strict=True)
    }
    guards = {f"{g.column}.{g.measure}": share for g, share in zip(found.set.guards, seen.outside, strict=True)}
    return reference, named, guards


@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("rows", [500, 30_000])
def test_numeric_streams_are_the_measures_location_and_spread(rows, decimals):
    rng = np.random.default_rng(1)
    frame, batch = {"x": rng.normal(size=rows)}, {"x": rng.normal(0.3, 1.5, 400)}
    if decimals is not None:
        frame, batch = ({"x": t["x"].round(decimals)} for t in (frame, batch))
    reference, streams, guards = streams_of(frame, batch, {"x": "numeric"})
    measured = {m.measure: m.statistic for m in reference.compare(reference.profile(batch), ["location", "spread"])}
    assert streams["x.location"][0] == pytest.approx(measured["location"], abs=1e-12)
    assert streams["x.spread"][0] == pytest.approx(measured["spread"], abs=1e-12)
    assert streams["x.location"][1] == 400
    assert guards == {"x.outside:missing": 0.0}


def test_the_variance_of_a_row_is_that_of_the_stream():
    """Sampled from the reference itself, a stream's value has the variance that its stream promises."""
    rng = np.random.default_rng(2)
    frame = {
        "x": rng.gamma(2.0, size=4000),
        "k": rng.choice(["a", "b", "c"], 4000, p=[0.6, 0.3, 0.1]),
        "m": np.where(rng.random(4000) < 0.2, np.nan, rng.normal(size=4000)),
    }
    reference = Reference.fit(frame, Schema(features={"x": "numeric", "k": "categorical", "m": "numeric"}))
    found = ColumnStreams(reference.columns, reference.rows)
    draws = []
    for _ in range(600):
        rows = rng.integers(0, 4000, 200)
        draws.append(found.observe(reference.profile({c: v[rows] for c, v in frame.items()}).columns, None))
    values = np.array([d.values for d in draws])
    rows = np.array([d.rows for d in draws])
    promised = np.array([s.variance for s in found.set.streams])
    ratio = (values * np.sqrt(rows)).var(axis=0) / promised
    assert ((ratio > 0.8) & (ratio < 1.25)).all(), dict(
        zip([s.column + s.name for s in found.set.streams], ratio, strict=True)
    )
    assert (np.abs(values.mean(axis=0)) < 5 * values.std(axis=0) / np.sqrt(600) + 0.01).all()


def test_frequent_levels_have_streams_and_the_rare_ones_share_one():
    levels = ["a"] * 500 + ["b"] * 450 + [f"r{i}" for i in range(10) for _ in range(5)]
    _, streams, guards = streams_of({"k": levels}, {"k": ["a"] * 50 + ["new"] * 50}, {"k": "categorical"})
    assert set(streams) == {"k.level:a", "k.level:b", "k.level:(rest)"}
    assert guards["k.outside:unseen"] == 0.5


def test_of_two_levels_one_says_it_all():
    _, streams, _ = streams_of({"k": ["a", "b"] * 50}, {"k": ["a"] * 30 + ["b"] * 10}, {"k": "categorical"})
    ((value, rows, stream),) = streams.values()
    share = 1 / (1 + np.exp(-(value + stream.origin)))
    assert share == pytest.approx((10 if stream.level == "b" else 30) / 40, abs=0.02)
    assert rows == 40


def test_a_column_of_names_is_watched_by_how_many_are_new():
    names = [f"n{i}" for i in range(300)]
    _, streams, guards = streams_of({"k": names}, {"k": [f"m{i}" for i in range(50)]}, {"k": "categorical"})
    assert set(streams) == {"k.level:(unseen)"}
    assert guards == {"k.outside:missing": 0.0}


@pytest.mark.parametrize(
    ("frame", "batch", "kind", "expected"),
    [
        ([5.0] * 50, [5.0] * 9 + [6.0], "numeric", {"x.outside:constant": 0.1, "x.outside:missing": 0.0}),
        ([5.0] * 50, [5.0] * 9 + [np.nan], "numeric", {"x.outside:constant": 0.0, "x.outside:missing": 0.1}),
        ([np.nan] * 50, [np.nan] * 9 + [1.0], "numeric", {"x.outside:present": 0.1}),
        (["a"] * 50, ["a"] * 9 + ["b"], "categorical", {"x.outside:unseen": 0.1, "x.outside:missing": 0.0}),
    ],
)
def test_what_never_varied_is_guarded(frame, batch, kind, expected):
    _, streams, guards = streams_of({"x": np.array(frame)}, {"x": np.array(batch)}, {"x": kind})
    assert streams == {}
    assert guards == pytest.approx(expected)


def test_a_batch_without_values_says_nothing():
    frame = {"x": np.arange(100.0)}
    reference, streams, guards = streams_of(frame, {"x": np.full(10, np.nan)}, {"x": "numeric"})
    assert np.isnan(streams["x.location"][0]) and streams["x.location"][1] == 0
    assert guards["x.outside:missing"] == 1.0
    empty = ColumnStreams(reference.columns, 100).observe(reference.empty_profile().columns, None)
    assert np.isnan(empty.values).all() and np.isnan(empty.outside).all()


def test_columns_left_out_are_not_watched():
    reference = Reference.fit(
        {"x": np.arange(9.0), "y": np.arange(9.0)}, Schema(features={"x": "numeric", "y": "numeric"})
    )
    found = ColumnStreams(reference.columns, reference.rows, leave_out={"x"})
    assert {s.column for s in found.set.streams} == {"y"}


def test_streams_of_private_categories_have_numbers_and_the_same_values():
    """The streams of what nobody may see are those of what everybody sees, under other names."""
    rng = np.random.default_rng(5)
    frame, batch = (
        {"k": rng.choice(["canary-a", "canary-b", "canary-c"], 2000, p=p)} for p in ([0.6, 0.3, 0.1], [0.2, 0.3, 0.5])
    )
    found = []
    for private in ((), ("k",)):
        reference = Reference.fit(frame, Schema(features={"k": "categorical"}, private=private))
        streams = ColumnStreams(reference.columns, reference.rows)
        seen = streams.observe(reference.profile(batch).columns, None)
        found.append({s.name: value for s, value in zip(streams.set.streams, seen.values, strict=True)})
    plain, private = found
    assert set(plain) == {"level:canary-a", "level:canary-b", "level:canary-c"}
    assert set(private) == {"level:#1", "level:#2", "level:#3"}
    assert sorted(private.values()) == pytest.approx(sorted(plain.values()))

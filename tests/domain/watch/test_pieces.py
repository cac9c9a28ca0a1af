"""Pieces put together are what the detector would have seen of their rows at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain.batch import Window
from monitor.domain.model_reference import ModelReference
from monitor.domain.reference import Reference
from monitor.domain.schema import Schema
from monitor.domain.verdict import Channel
from monitor.domain.watch.column_streams import ColumnStreams
from monitor.domain.watch.loss_streams import loss_observation, loss_streams
from monitor.domain.watch.pieces import Cut, Pieces
from monitor.domain.watch.prior_streams import PriorStreams
from monitor.domain.watch.streams import Measure
from monitor.stats.moments import Moments

START = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SCHEMA = Schema(features={"x": "numeric", "gap": "numeric", "k": "categorical"})
MEASURES = {Measure.LOCATION, Measure.SPREAD, Measure.LEVEL, Measure.MISSING}
seeds = st.integers(0, 2**32 - 1)


def make_rows(rng, n):
    """`gap` is missing in runs of rows, so that some pieces hold no value of it at all."""
    empty = np.repeat(rng.random(n // 20 + 1) < 0.4, 20)[:n]
    return {
        "x": rng.normal(size=n).round(1),
        "gap": np.where(empty | (rng.random(n) < 0.2), np.nan, rng.gamma(2.0, size=n)),
        "k": rng.choice(["a", "b", "c", None], n, p=[0.5, 0.25, 0.2, 0.05]),
    }


def some(rows, at):
    return {name: cells[at] for name, cells in rows.items()}


def at_seconds(seconds):
    return np.datetime64(START.replace(tzinfo=None), "us") + (np.asarray(seconds) * 1e6).astype("timedelta64[us]")


def spread_over(rng, n, span):
    """Moments within `span`, not in order."""
    return at_seconds(rng.random(n) * span.total_seconds())


class Observed:
    """The same rows, seen by the streams of features, class prior and loss."""

    def __init__(self, rng, n):
        self.rows = make_rows(rng, n)
        self.predicted = rng.integers(0, 3, n)
        self.losses = rng.gamma(1.0, size=n)
        self.reference = Reference.fit(self.rows, SCHEMA)
        self.columns = ColumnStreams(self.reference.columns, n)
        self.prior = PriorStreams(np.array([[0.4, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.2]]), ("a", "b", "c"), n)
        self.held_out = Moments.of(self.losses)
        self.sets = [self.columns.set, self.prior.set, loss_streams(self.held_out)]

    def see(self, at, when):
        """Observations of the rows at the positions `at`, one per set of streams."""
        counts = np.bincount(self.predicted[at], minlength=3)
        return [
            self.columns.observe(self.reference.profile(some(self.rows, at)).columns, when),
            self.prior.observe(counts, when),
            loss_observation(self.held_out, Moments.of(self.losses[at]), when),
        ]

    def pieces(self, cut):
        seen = [self.see(cut.order[at], when) for when, at in cut]
        return [Pieces.of([each[i] for each in seen], s, cut.seconds) for i, s in enumerate(self.sets)]


def same(got, expected):
    assert got.rows.tolist() == pytest.approx(expected.rows.tolist(), abs=1e-9)
    said = expected.rows > 0
    assert got.values[said].tolist() == pytest.approx(expected.values[said].tolist(), abs=1e-9)
    assert np.isnan(got.values[~said]).all()


@settings(max_examples=15)
@given(seed=seeds, n=st.integers(300, 900), hours=st.integers(1, 6))
def test_put_together_they_are_what_their_rows_say_at_once(seed, n, hours):
    rng = np.random.default_rng(seed)
    seen = Observed(rng, n)
    assert {s.measure for s in seen.columns.set.streams} == MEASURES
    span = 20 * hours * HOUR
    times = spread_over(rng, n, span)
    cut = Cut.of(n, times)
    window = Window(START + 50 * hours * HOUR, START + 51 * hours * HOUR)  # a later batch of the same phase
    number = (times - np.datetime64(START.replace(tzinfo=None))) // np.timedelta64(hours, "h")
    expected = [seen.see(np.flatnonzero(number == g), START + g * hours * HOUR) for g in np.unique(number).tolist()]
    for i, pieces in enumerate(seen.pieces(cut)):
        got = pieces.batches(seen.sets[i], window, 1, UTC)
        assert len(got) == len(expected)
        for one, whole in zip(got, expected, strict=True):
            same(one, whole[i])


@settings(max_examples=8)
@given(seed=seeds, n=st.integers(1000, 2500), rows=st.integers(1, 80))
def test_without_times_they_are_put_together_to_the_rows_of_a_batch(seed, n, rows):
    seen = Observed(np.random.default_rng(seed), n)
    cut = Cut.of(n, None)
    for i, pieces in enumerate(seen.pieces(cut)):
        batches = pieces.batches(seen.sets[i], Window(START, START), rows, UTC)
        assert all(b.at is None for b in batches)
        firsts = np.cumsum([0, *(round(float(b.rows.max())) for b in batches)])
        if i == 0:  # `x` has a value in every row, so the batches say themselves which rows they hold
            assert firsts[-1] == n
            sizes = np.diff(firsts)
            assert (np.abs(sizes[:-1] - rows) <= max(rows, n / 400)).all()
            for first, last, batch in zip(firsts[:-1], firsts[1:], batches, strict=True):
                same(batch, seen.see(np.arange(first, last), None)[0])


def test_a_piece_without_any_value_says_nothing_about_it():
    rows = {"x": np.arange(40.0), "gap": np.repeat([np.nan, 1.0, 2.0, 3.0], 10), "k": np.tile(["a", "b"], 20)}
    reference = Reference.fit(rows, SCHEMA)
    streams = ColumnStreams(reference.columns, 40)
    seen = [streams.observe(reference.profile(some(rows, slice(i, i + 10))).columns, None) for i in range(0, 40, 10)]
    named = [(s.column, s.measure) for s in streams.set.streams]
    pieces = Pieces.of(seen, streams.set, 0.0)
    assert np.isnan(pieces.values[0, named.index(("gap", Measure.LOCATION))])
    got = pieces.batches(streams.set, Window(START, START), 10, UTC)
    assert len(got) == 4
    for one, whole in zip(got, seen, strict=True):
        same(one, whole)


stamps = st.lists(st.integers(0, 3 * 365 * 86400) | st.integers(0, 7200), max_size=600)


@given(stamps)
def test_a_cut_holds_every_row_once_in_order_of_time_and_in_its_own_slot(seconds):
    times = at_seconds(seconds) if seconds else np.zeros(0, dtype="datetime64[us]")
    cut = Cut.of(len(seconds), times)
    assert sorted(cut.order.tolist()) == list(range(len(seconds)))
    places = list(cut)
    assert [i for _, at in places for i in range(at.start, at.stop)] == list(range(len(seconds)))
    assert len(places) <= 400
    starts = [when for when, _ in places]
    assert starts == sorted(set(starts))
    for when, at in places:
        held = times[cut.order[at]]
        assert held.size
        assert (np.diff(held) >= np.timedelta64(0)).all()
        assert (held >= np.datetime64(when.replace(tzinfo=None))).all()
        assert (held < np.datetime64((when + timedelta(seconds=cut.seconds)).replace(tzinfo=None))).all()


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_rows_of_one_moment_stay_in_the_order_given(seconds):
    cut = Cut.of(len(seconds), at_seconds(seconds))
    expected = sorted(range(len(seconds)), key=lambda i: seconds[i])
    assert cut.order.tolist() == expected


@pytest.mark.parametrize(
    ("span", "length"),
    [(HOUR, 60), (6 * HOUR, 60), (DAY, 300), (3 * DAY, 900), (14 * DAY, 3600), (90 * DAY, 6 * 3600),
     (380 * DAY, 86400), (1000 * DAY, 7 * 86400)],
)  # fmt: skip
def test_pieces_are_as_short_as_400_of_them_allow(span, length):
    times = at_seconds(np.linspace(0, span.total_seconds() - 1, 20_000))
    assert Cut.of(20_000, times).seconds == length


def test_more_than_eight_years_are_still_cut_into_about_400():
    times = at_seconds(np.linspace(0, 40 * 365.25 * 86400, 5000))
    cut = Cut.of(5000, times)
    assert 395 <= len(list(cut)) <= 401
    assert cut.order.tolist() == list(range(5000))


@given(st.integers(0, 3000))
def test_without_times_pieces_are_of_equal_size_in_the_order_given(rows):
    cut = Cut.of(rows, None)
    sizes = np.diff(cut.bounds)
    assert sizes.sum() == rows
    assert len(sizes) == min(rows, 400)
    assert rows == 0 or (sizes.min() >= 1 and np.ptp(sizes) <= 1)
    assert cut.order.tolist() == list(range(rows))
    assert [when for when, _ in cut] == [None] * len(sizes)


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row(rows, dated):
    frame = {"x": np.arange(3.0), "gap": np.array([1.0, 2.0, np.nan]), "k": np.array(["a", "b", "a"])}
    reference = Reference.fit(frame, SCHEMA)
    streams = ColumnStreams(reference.columns, 3)
    cut = Cut.of(rows, at_seconds(np.full(rows, 5.0)) if dated else None)
    seen = [streams.observe(reference.profile(some(frame, cut.order[at])).columns, when) for when, at in cut]
    batches = Pieces.of(seen, streams.set, cut.seconds).batches(streams.set, Window(START, START + DAY), 100, UTC)
    assert len(batches) == rows
    for got, expected in zip(batches, seen, strict=True):
        assert got.at is None  # too few to be dated
        same(got, expected)


@pytest.mark.parametrize(("pieces", "expected"), [(11, 11), (30, 30), (45, 30), (60, 30), (400, 30)])
def test_too_few_batches_are_about_30_shorter_ones_without_times(pieces, expected):
    """One batch is as long as all of the reference: nothing is known of how batches differ."""
    seen = Observed(np.random.default_rng(4), 10 * pieces)
    minutes = np.repeat(np.arange(pieces), 10)
    cut = Cut.of(10 * pieces, at_seconds(60 * minutes))
    assert (len(list(cut)), cut.seconds) == (pieces, 60)
    got = seen.pieces(cut)[0].batches(seen.columns.set, Window(START + 30 * DAY, START + 31 * DAY), 10, UTC)
    assert len(got) == expected
    assert {b.at for b in got} == {None}
    rows = [round(float(b.rows.max())) for b in got]
    assert sum(rows) == 10 * pieces
    assert max(rows) <= 10 * np.ceil(pieces / 30)


def starts_of(times, window, zone=UTC):
    """Where the batches of a loss begin whose rows have these times, with the rows of each."""
    losses = np.ones(len(times))
    held_out = Moments.of(losses + np.arange(len(times)) % 2)
    streams = loss_streams(held_out)
    cut = Cut.of(len(times), times)
    seen = (loss_observation(held_out, Moments.of(losses[cut.order[at]]), when) for when, at in cut)
    return [(b.at, round(b.rows[0])) for b in Pieces.of(seen, streams, cut.seconds).batches(streams, window, 1, zone)]


def test_a_daily_window_from_six_o_clock_keeps_its_phase_and_its_zone():
    hourly = at_seconds(3600.0 * np.arange(6, 15 * 24 + 6))  # from six o'clock on, 15 whole windows
    window = Window(START + 30 * DAY + 6 * HOUR, START + 31 * DAY + 6 * HOUR)
    berlin = ZoneInfo("Europe/Berlin")
    got = starts_of(hourly, window, berlin)
    assert got == [(START + k * DAY + 6 * HOUR, 24) for k in range(15)]
    assert {(at.tzinfo, at.hour) for at, _ in got} == {(berlin, 7)}


def test_rows_before_the_phase_belong_to_the_window_before():
    hourly = at_seconds(3600.0 * np.arange(15 * 24))  # from midnight on: six hours of the window before
    window = Window(START + 30 * DAY + 6 * HOUR, START + 31 * DAY + 6 * HOUR)
    rows = [n for _, n in starts_of(hourly, window)]
    assert rows == [6, *[24] * 14, 18]


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("UTC", 0), ("America/New_York", 0), ("Asia/Tokyo", 0), ("Europe/Berlin", 6), ("America/New_York", 6)],
)
@pytest.mark.parametrize("month", [2, 8])
def test_days_of_a_long_reference_have_the_weekday_of_the_batches_that_they_stand_for(zone, hour, month):
    """A year is cut into days of UTC: each stands for the local day that most of its rows are of."""
    local = ZoneInfo(zone)
    times = at_seconds(6 * 3600.0 * np.arange(380 * 4) + 3 * 3600)
    start = datetime(2026, month, 3, hour, tzinfo=local)
    window = Window(start.astimezone(UTC), (start + DAY).astimezone(UTC))
    got = starts_of(times, window, local)
    inner = got[2:-2]
    assert len(inner) >= 370
    for k, (at, rows) in enumerate(inner):
        assert rows == 4
        assert at.weekday() == (START + (k + 2) * DAY).weekday()


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("classes", [("a", "b", "c"), ()])
def test_a_model_reference_keeps_warm_up_and_calendar_bit_for_bit(dated, classes):
    rng = np.random.default_rng(8)
    n, held_out = 1200, 700
    times = at_seconds(3600.0 * np.arange(n))
    frame = {**make_rows(rng, n), "hour": np.arange(n) % 24.0}
    scores = rng.dirichlet(np.ones(3), held_out) if classes else rng.normal(size=held_out)
    reference = ModelReference.fit(
        frame,
        Schema(features={**SCHEMA.features, "hour": "numeric"}),
        held_out_scores=scores,
        held_out_target=rng.integers(0, 3, held_out),
        classes=classes,
        metric="accuracy" if classes else "mae",
        times=times if dated else None,
    )
    again = ModelReference.from_bytes(reference.to_bytes())
    assert again.calendar == reference.calendar == (("hour",) if dated else ())
    assert set(again.warm_up) == set(reference.warm_up)
    assert set(reference.warm_up) == set(Channel) - (set() if classes else {Channel.LABELS})
    for channel, pieces in reference.warm_up.items():
        stored = again.warm_up[channel]
        assert stored.seconds == pieces.seconds
        assert (pieces.seconds > 0) is dated
        for part in ("starts", "values", "rows"):
            assert getattr(stored, part).tobytes() == getattr(pieces, part).tobytes()
            assert getattr(stored, part).shape == getattr(pieces, part).shape

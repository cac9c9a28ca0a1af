from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.watch.history import History

DAY = 86400.0


def of_days(values, days=None):
    history = History.start(1)
    for day, value in zip(range(len(values)) if days is None else days, values, strict=True):
        history = history.add(day * DAY, np.array([value]))
    return history


def test_lags_of_an_unbroken_stream_are_the_last_one_and_the_means_of_7_and_28():
    values = np.random.default_rng(1).normal(size=40)
    lags = of_days(values).lags(40 * DAY, DAY)[0]
    assert np.allclose(lags, [values[-1], values[-7:].mean(), values[-28:].mean()])


def test_a_missing_batch_leaves_a_gap_and_shifts_nothing():
    values = np.arange(40.0)
    days = [d for d in range(40) if d != 35]
    lags = of_days(values[days], days).lags(40 * DAY, DAY)[0]
    assert np.allclose(lags, [39, np.mean([33, 34, 36, 37, 38, 39]), np.mean([d for d in range(12, 40) if d != 35])])


def test_a_late_batch_finds_what_came_before_it():
    history = of_days(np.arange(40.0))
    assert np.allclose(history.lags(30 * DAY, DAY)[0][:2], [29, np.mean(range(23, 30))])


@given(st.permutations(range(20)))
def test_the_order_of_arrival_does_not_matter(order):
    values = np.arange(20.0) ** 2
    one, other = of_days(values), of_days(values[list(order)], order)
    assert np.array_equal(one.lags(20 * DAY, DAY), other.lags(20 * DAY, DAY))


def test_after_a_long_pause_the_last_value_stands_in():
    assert np.allclose(of_days([1.0, 2.0, 3.0]).lags(500 * DAY, DAY), 3.0)


def test_without_any_past_there_are_no_lags():
    assert np.isnan(History.start(2).lags(0.0, None)).all()


def test_the_interval_is_the_usual_gap():
    assert of_days([1.0] * 5, [0, 1, 2, 5, 6]).interval() == DAY
    assert of_days([1.0]).interval() is None


def test_a_stream_without_a_value_has_the_one_before():
    history = History.start(2).add(0.0, np.array([1.0, 5.0])).add(DAY, np.array([2.0, np.nan]))
    assert np.allclose(history.lags(2 * DAY, DAY)[:, 0], [2.0, 5.0])


def test_a_stream_that_moved_has_its_past_at_the_new_level():
    history = of_days(np.array([*np.sin(np.arange(30.0)), 3.0, 5.0]))
    history = History(times=history.times, values=np.repeat(history.values, 2, axis=1))
    moved = history.moved(np.array([True, False]), np.full(2, 30 * DAY), np.full(2, 10.0))
    lags = moved.lags(32 * DAY, DAY)
    assert np.allclose(lags[0], 10.0, atol=0.3)
    assert np.array_equal(lags[1], history.lags(32 * DAY, DAY)[1])
    assert np.isclose(moved.values[:30, 0].std(), history.values[:30, 0].std())  # shifted as it was


def test_undated_batches_are_one_mean_before_all_time():
    history = of_days([1.0, 2.0, 6.0]).undated()
    assert history.interval() is None
    assert np.allclose(history.lags(0.0, None), 3.0)
    later = history.add(1e9, np.array([5.0])).add(1e9 + DAY, np.array([7.0]))
    assert later.interval() == DAY
    assert np.allclose(later.lags(1e9 + 2 * DAY, None), [7.0, 6.0, 6.0])

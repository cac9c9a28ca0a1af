"""The error rate row by row: a rise is found, an improvement is none, and nothing is remembered but the errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor.adapters.adwin import Adwin
from monitor.app.error_history import ErrorHistory

WINDOW = 100


def play(rates: list[float], seed: int, windows: int = 10) -> list[bool]:
    """So many windows at each rate; in which of them the rate has risen."""
    rng, history, monitor, out = np.random.default_rng(seed), ErrorHistory(), Adwin(), []
    for rate in rates:
        for _ in range(windows):
            history, risen = history.after((rng.random(WINDOW) < rate).astype(np.float32), monitor)
            history = ErrorHistory.from_bytes(history.to_bytes())  # as after a restart
            out.append(risen)
    return out


def test_a_rise_is_found_soon_and_an_improvement_is_none():
    delays = [play([0.1, 0.35], seed)[10:].index(True) for seed in range(20)]
    assert max(delays) <= 2
    assert not any(any(play([0.4, 0.1], seed)) for seed in range(20))


def test_a_steady_rate_raises_little():
    """Its delta bounds the alarms of one stream by 0.002 per look in theory; here 50 streams of 2,000 rows."""
    alarmed = sum(any(play([0.2], seed, windows=20)) for seed in range(50))
    assert alarmed <= stats.binom.ppf(0.999, 50, 0.05)


def test_a_new_rate_is_one_alarm_and_then_ordinary():
    risen = play([0.1, 0.5], seed=3, windows=15)
    assert sum(risen) == 1


def test_the_alarm_stands_until_it_is_closed():
    history, risen = ErrorHistory(np.zeros(500, np.float32)).after(np.ones(100, np.float32), Adwin())
    assert risen
    assert history.alarm.startswith("the error rate has risen from 0.0")
    again, risen = history.after(np.ones(100, np.float32), Adwin())
    assert (risen, again.alarm) == (False, history.alarm)
    assert again.closed().alarm == ""
    assert np.array_equal(again.closed().errors, again.errors)


@pytest.mark.parametrize("cut", [0, 37, 100])
def test_rows_in_parts_are_the_same_rows(cut):
    errors = (np.random.default_rng(1).random(100) < 0.2).astype(np.float32)
    first, _ = ErrorHistory().after(errors[:cut], Adwin())
    second, _ = first.after(errors[cut:], Adwin())
    at_once, _ = ErrorHistory().after(errors, Adwin())
    assert np.array_equal(second.errors, at_once.errors)

"""The standard that promotions do not move: when it is missed, when it is met again, and what it survives."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.standard import WINDOWS, Standard, WindowLoss, follow
from monitor.stats.moments import Moments

MARGIN = 0.1


def moments(mean: float, n: int = 400, sd: float = 0.2) -> Moments:
    return Moments(n, mean, (n - 1) * sd**2)


def window(loss: float, *, promised: Moments | None = None, alarm: bool = False, version: int = 1) -> WindowLoss:
    held_out = moments(0.4) if promised is None else promised
    return WindowLoss(batch=f"loss {loss}", version=version, loss=moments(loss, 100), promised=held_out, alarm=alarm)


def after(*seen: WindowLoss, start: Standard | None = None) -> Standard:
    standard = start
    for one in seen:
        standard = follow(standard, one, min_increase=MARGIN)
    assert standard is not None
    return standard


def test_the_first_window_sets_it_and_it_is_met():
    standard = after(window(0.7))
    assert (standard.version, standard.loss, standard.missed_since) == (1, 0.4, "")
    assert standard.error == pytest.approx(0.01)


def test_an_alarm_begins_it_and_a_promotion_does_not_end_it():
    later = moments(0.7)
    missed = after(window(0.7, alarm=True), window(0.71, alarm=True))
    assert (missed.missed_since, missed.windows, missed.restored(MARGIN)) == ("loss 0.7", (), None)
    four = after(*[window(0.7, promised=later, version=2)] * (WINDOWS - 1), start=missed)
    assert (four.restored(MARGIN), four.reached) == (None, pytest.approx(0.7))
    five = after(window(0.7, promised=later, version=3), start=four)
    assert (five.restored(MARGIN), five.loss, five.version) == (False, 0.4, 1)
    met = after(*[window(0.43, promised=later, version=3)] * WINDOWS, start=five)
    assert (met.missed_since, met.windows, met.loss) == ("", (), 0.4)
    assert not after(window(0.43, promised=later, version=3), start=met).missed_since, "what it shows counts"
    assert after(window(0.43, promised=later, version=4), start=met).missed_since, "what the next one promises"


def test_a_version_that_surely_promises_less_begins_it_without_an_alarm():
    assert after(window(0.7), window(0.7, promised=moments(0.7), version=2)).missed_since
    assert not after(window(0.7), window(0.7, promised=moments(0.43), version=2)).missed_since, "within the margin"
    few = moments(0.7, n=4, sd=1.0)
    assert not after(window(0.7), window(0.7, promised=few, version=2)).missed_since, "nobody knows"
    assert not after(window(0.7), window(0.7, promised=moments(0.7, n=1, sd=0.0), version=2)).missed_since


def test_a_level_that_creeps_up_with_each_version_is_found():
    levels = [0.4 * 1.05**k for k in range(8)]
    assert after(*[window(level, promised=moments(level), version=k) for k, level in enumerate(levels)]).missed_since


def test_while_an_alarm_stands_nothing_is_said_about_later_windows():
    standard = after(window(0.7, alarm=True), *[window(0.7)] * WINDOWS, window(0.7, alarm=True))
    assert (standard.restored(MARGIN), standard.windows) == (None, ())
    assert standard.missed_since


def test_windows_count_by_their_rows():
    large = WindowLoss(batch="b", version=1, loss=moments(1.0, 900), promised=moments(0.4), alarm=False)
    standard = after(window(0.7, alarm=True), window(0.4), large)
    assert standard.reached == pytest.approx(0.94)


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.01, 2.0), st.booleans()), min_size=1, max_size=30))
def test_it_survives_storage_and_never_moves(seen: Sequence[tuple[float, float, bool]]):
    windows = [window(loss, promised=moments(promised), alarm=alarm) for loss, promised, alarm in seen]
    standard: Standard | None = None
    for one in windows:
        standard = follow(standard, one, min_increase=MARGIN)
        assert standard.loss == windows[0].promised.mean
        assert len(standard.windows) <= WINDOWS
        assert bool(standard.windows) <= bool(standard.missed_since)
        assert standard.restored(MARGIN) is not True, "one that is met is missed no longer"
        standard = Standard.from_dict(json.loads(json.dumps(standard.to_dict())))


def test_it_is_missed_without_a_cause_in_few_histories():
    """Thirty versions of one level, each with 300 held-out rows of a skewed loss: the margin and three errors hold."""
    rng = np.random.default_rng(11)
    histories, missed = 400, 0
    for _ in range(histories):
        promised = [Moments.of(rng.exponential(0.4, 300)) for _ in range(30)]
        windows = [window(0.4, promised=one, version=k) for k, one in enumerate(promised)]
        missed += bool(after(*windows).missed_since)
    assert missed <= 4, f"{missed}: more than 1 in 100 histories"

"""The arrival curve: against counting what came, and what it must not say before it knows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.label_arrival import LAGS, ArrivalCurve, Arrivals

ROWS = 100


def play(arrives: list[float], batches: int, start: Arrivals | None = None) -> Arrivals:
    """`arrives`: cumulative share of a window's labels that are there when k batches have come after it."""
    found = start or Arrivals()
    for t in range(batches):
        names = [f"b{k}" for k in range(t + 1)]
        there = {f"b{k}": round(ROWS * arrives[min(t - k, len(arrives) - 1)]) for k in range(t + 1)}
        found = found.observe(names, there, ROWS)
    return found


shapes = st.lists(st.integers(0, 20), min_size=1, max_size=8).map(
    lambda steps: (np.cumsum(steps) / max(100.0, float(sum(steps)))).tolist()
)


@given(shapes)
def test_the_curve_is_what_came(arrives):
    shares = play(arrives, 30).curve.shares
    assert shares.size == 28  # three windows were seen at the last of these lags
    expected = [arrives[min(k, len(arrives) - 1)] for k in range(shares.size)]
    assert shares == pytest.approx(expected, abs=0.01)
    assert (np.diff(shares) >= 0).all()


@given(shapes)
def test_what_is_reachable_is_known_when_nothing_more_comes(arrives):
    curve = play(arrives, 40).curve
    if arrives[-1] == 0:
        assert (curve.settled, curve.reachable, curve.to_come(3, 0.0)) == (None, 1.0, None)
        return
    assert curve.settled is not None
    assert arrives[min(curve.settled, len(arrives) - 1)] >= 0.98 * arrives[-1]
    assert curve.reachable == pytest.approx(arrives[-1], abs=0.01)
    assert curve.to_come(0, arrives[0]) == pytest.approx(arrives[-1] - arrives[0], abs=0.02)
    assert curve.to_come(LAGS, arrives[-1]) == pytest.approx(0.0, abs=0.01)


def test_labels_that_are_twenty_batches_late_are_not_taken_for_none():
    late = [0.0] * 20 + [0.7]
    for batches in (10, 22, 30, 40):
        assert play(late, batches).curve.reachable == 1.0
    found = play(late, 50)
    assert (found.curve.settled, found.curve.reachable) == (20, pytest.approx(0.7))
    assert found.to_come == pytest.approx(20 * 0.7 * ROWS)  # of the twenty newest windows


def test_another_way_of_delivering_is_learnt():
    once = play([0.0, 1.0], 200)
    assert (once.curve.settled, once.curve.reachable) == (1, pytest.approx(1.0))
    names = [f"n{k}" for k in range(200)]
    for t in range(200):
        there = dict.fromkeys(names[: max(t - 1, 0)], ROWS // 2)
        once = once.observe(names[: t + 1], there, ROWS)
    assert once.curve.reachable == pytest.approx(0.5, abs=0.05)


def test_batches_that_come_late_themselves_and_empty_ones_say_nothing():
    found = Arrivals().observe(["old", "new"], {"old": 90}, ROWS)
    assert set(found.following) == {"new"}
    empty = Arrivals().observe(["none"], {}, 0)
    assert empty.curve.shares.size == 0
    assert empty.to_come is None


@given(shapes, shapes, shapes)
def test_curves_merge_in_any_order_and_an_empty_one_changes_nothing(a, b, c):
    one, two, three = (play(arrives, 12).curve for arrives in (a, b, c))
    left, right = one.merge(two).merge(three), three.merge(one.merge(two))
    for name in ("waiting", "came", "windows"):
        assert getattr(left, name) == pytest.approx(getattr(right, name))
        assert np.array_equal(getattr(one.merge(ArrivalCurve()), name), getattr(one, name))


def test_storage_keeps_it():
    found = play([0.1, 0.5, 0.9], 20).matured("b3")
    again = Arrivals.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.following == found.following
    assert again.curve.shares == pytest.approx(found.curve.shares, abs=1e-5)


def test_labels_that_stop_are_still_due_when_they_were():
    found = Arrivals()
    for t in range(90):
        there = {f"b{k}": ROWS if k <= min(t - 2, 30) else 0 for k in range(t + 1)}
        found = found.observe([f"b{k}" for k in range(t + 1)], there, ROWS)
        assert t < 30 or found.curve.settled == 2

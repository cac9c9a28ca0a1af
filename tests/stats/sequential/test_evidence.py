from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitor.stats.sequential import evidence as ev
from monitor.stats.sequential.longrun import LongRun

SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)


def play(z, *, two_sided=True):
    """Evidence after every row of z, shape (T, S)."""
    found = ev.Evidence.start(z.shape[1], ev.components(two_sided=two_sided))
    ones = np.ones(z.shape[1])
    for t, row in enumerate(z):
        factor = ev.bets(row, ones, two_sided=two_sided)
        found = ev.accumulate(found, factor, np.isfinite(row), at=float(t), error=row, variance_ratio=ones)
        yield found


def slow_detector(z, size):
    """Σ over all possible change points of the likelihood ratio since then, and the best of them with its start."""
    ratios = [np.exp(np.sum(size * z[k:] - size**2 / 2)) for k in range(len(z))]
    return sum(ratios), int(np.argmax(ratios)), max(ratios)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=12))
def test_the_recursion_is_the_sum_over_change_points(z):
    z = np.array(z)
    last = list(play(z[:, None]))[-1]
    for k, size in enumerate([*SIZES, *(-s for s in SIZES)]):
        total, start, best = slow_detector(z, size)
        assert np.isclose(last.detector[0, k], total, rtol=1e-9)
        assert np.isclose(last.cusum[0, k], max(0.0, np.log(best)), atol=1e-9)
        if best > 1.0001:
            assert np.isclose(last.weight[0, k], len(z) - last.since[0, k])
            assert np.isclose(last.error[0, k], z[int(last.since[0, k]) :].sum(), atol=1e-9)
            assert np.isclose(np.exp(np.sum(size * z[int(last.since[0, k]) :] - size**2 / 2)), best, rtol=1e-6)
            assert start <= len(z)


def test_false_alarms_stay_within_the_budget():
    rng = np.random.default_rng(11)
    runs, length, budget = 400, 50, 365
    streams = 8
    z = rng.standard_normal((length, runs * streams))
    z[:, : runs * streams // 2] = np.repeat(z[:, : runs * streams // 2 : streams], streams, axis=1)  # fully dependent
    crossed = np.zeros(runs, dtype=bool)
    for found in play(np.clip(z, -3, 3)):
        crossed |= ev.of_streams(found).reshape(runs, streams).mean(axis=1) >= budget
    assert stats.binomtest(int(crossed.sum()), runs, length / budget, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize(("shift", "most"), [(0.5, 60), (1.0, 22), (3.0, 5)])
def test_a_shift_is_found_in_time(shift, most):
    rng = np.random.default_rng(12)
    runs = 200
    z = np.clip(rng.standard_normal((80, runs)) + shift, -3, 3)
    delays = np.full(runs, np.inf)
    for t, found in enumerate(play(z)):
        delays = np.where((delays == np.inf) & (ev.of_streams(found) >= 365), t + 1, delays)
    assert np.median(delays) <= most


def test_the_change_point_is_where_the_shift_began():
    rng = np.random.default_rng(13)
    z = rng.standard_normal((120, 300))
    z[100:] += 2.0
    moved = ev.change(list(play(z))[-1])
    assert np.median(np.abs(moved.since - 100)) <= 1
    assert np.isclose(np.median(moved.shift), 2.0, atol=0.15)
    assert np.isclose(np.median(moved.standard_error), 20**-0.5, rtol=0.1)


def test_only_increases_count_on_one_side():
    low = list(play(np.full((10, 1), -3.0), two_sided=False))[-1]
    high = list(play(np.full((10, 1), 3.0), two_sided=False))[-1]
    assert ev.of_streams(low)[0] < 3
    assert ev.of_streams(high)[0] > 1e6


def test_streams_that_were_not_judged_keep_what_they_had():
    steps = list(play(np.array([[1.0, 1.0], [2.0, np.nan]])))
    assert ev.of_streams(steps[1])[1] == ev.of_streams(steps[0])[1]
    assert ev.of_streams(steps[1])[0] > ev.of_streams(steps[0])[0]


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=20), st.floats(1, 1000))
def test_blame_is_e_bh_where_e_bh_names_anything(values, budget):
    values = np.array(values)
    ranked = np.sort(values)[::-1]
    passed = [k for k in range(1, len(values) + 1) if ranked[k - 1] >= len(values) * budget / k]
    named = ev.blame(values, budget)
    if passed:
        assert len(named) == max(passed)
    elif values.sum() > 0:
        assert values[named].sum() >= 0.8 * values.sum() * (1 - 1e-9)
        assert values[named[:-1]].sum() < 0.8 * values.sum()
    assert list(values[named]) == list(ranked[: len(named)])


def test_bets_on_wander_cost_more():
    z = np.array([1.0])
    assert (ev.bets(z, np.array([2.0]), two_sided=True) < ev.bets(z, np.array([1.0]), two_sided=True)).all()


def test_long_run_variance_is_one_for_independent_scores_and_more_for_wander():
    rng = np.random.default_rng(14)
    steps = 600
    noise = rng.standard_normal((steps, 200))
    wander = np.empty_like(noise)
    wander[0] = noise[0]
    for t in range(1, steps):
        wander[t] = 0.5 * wander[t - 1] + np.sqrt(0.75) * noise[t]
    found = {}
    for name, z in (("independent", noise), ("wander", wander)):
        state = LongRun.start(200)
        for row in z:
            state = state.add(row, np.ones(200, dtype=bool))
        found[name] = state.variance()
    assert 1.05 <= np.median(found["independent"]) < 1.1
    assert 1.8 < np.median(found["wander"]) < 2.8  # of ten batches of an AR(½): (1 + ½)/(1 − ½), less the edges

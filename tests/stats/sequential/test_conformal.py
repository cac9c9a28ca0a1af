from __future__ import annotations

import numpy as np
from scipy import integrate, stats

from monitor.stats.sequential.conformal import Ranks, log_calibrated, p_values, remember


def calibrated(p):
    return float(np.exp(log_calibrated(np.array([p])))[0])


def test_the_calibrator_integrates_to_one():
    total = sum(integrate.quad(calibrated, a, b, limit=200)[0] for a, b in [(1e-8, 1e-4), (1e-4, 0.1), (0.1, 1.0)])
    below = 1.0 / -np.log(1e-8)  # the integral of 1/(p ln² p) up to 1e-8
    assert np.isclose(total + below, 1.0, atol=0.01)


def test_the_calibrator_falls_to_one_half_without_a_step():
    p = np.concatenate([np.linspace(1e-6, 1, 2000), 1 - np.logspace(-8, -2, 50)])
    values = log_calibrated(np.sort(p))
    assert (np.diff(values) <= 1e-7).all()
    assert np.isclose(values[-1], np.log(0.5), atol=1e-6)


def test_p_values_hold_their_level_whatever_the_tail():
    rng = np.random.default_rng(21)
    streams = 20_000
    ranks = Ranks.start(streams, remembered=32)
    everyone = np.ones(streams, dtype=bool)
    for _ in range(50):
        size = np.abs(rng.standard_cauchy(streams))
        p = p_values(ranks, size)
        ranks = remember(ranks, size, everyone)
    for level in (1 / 31, 0.1, 0.5):
        held = int((p <= level).sum())
        assert stats.binomtest(held, streams, level, alternative="greater").pvalue > 1e-4
    assert p.min() == 1 / 25  # of 32, the newest eight do not count yet


def test_the_oldest_size_makes_room():
    ranks = Ranks.start(1, remembered=2)
    for size in (100.0, 1.0, 2.0):
        ranks = remember(ranks, np.array([size]), np.array([True]))
    assert p_values(ranks, np.array([50.0]))[0] == 1 / 3
    ranks = remember(ranks, np.array([100.0]), np.array([False]))
    assert p_values(ranks, np.array([50.0]))[0] == 1 / 3

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from monitor.stats.sequential.distance import Dispersion, trailing


def autoregressive(rng, steps, streams, phi):
    values = np.empty((steps, streams))
    values[0] = rng.standard_normal(streams)
    for t in range(1, steps):
        values[t] = phi * values[t - 1] + np.sqrt(1 - phi**2) * rng.standard_normal(streams)
    return values


def of_blocks(values, length):
    found = Dispersion.start(values.shape[1])
    for start in range(0, len(values) - length + 1, length):
        found = found.add(values[start : start + length])
    return found


@pytest.mark.parametrize("phi", [0.0, 0.4, 0.7])
def test_the_interval_covers_the_mean_of_dependent_batches(phi):
    rng = np.random.default_rng(41)
    streams = 3000
    values = autoregressive(rng, 98, streams, phi)
    found = trailing(values[-7:], of_blocks(values, 7), np.zeros(streams), confidence=1 - 0.1 * streams)
    covered = int(((found.low <= 0) & (found.high >= 0)).sum())
    # one column at a time at 90%: Bonferroni over all of them is undone in the confidence
    assert stats.binomtest(covered, streams, 0.87, alternative="less").pvalue > 1e-3


def test_all_columns_are_covered_together():
    rng = np.random.default_rng(42)
    held, runs = 0, 300
    for _ in range(runs):
        values = autoregressive(rng, 98, 20, 0.3)
        found = trailing(values[-7:], of_blocks(values, 7), np.zeros(20), confidence=0.95)
        held += bool(((found.low <= 0) & (found.high >= 0)).all())
    assert stats.binomtest(held, runs, 0.93, alternative="less").pvalue > 1e-3


def test_a_lasting_shift_leaves_the_width_as_it_was():
    rng = np.random.default_rng(43)
    values = rng.standard_normal((140, 50))
    still = trailing(values[-7:], of_blocks(values, 7), np.zeros(50), 0.95)
    values[73:] += 10.0
    moved = trailing(values[-7:], of_blocks(values, 7), np.zeros(50), 0.95)
    assert np.allclose(moved.mean - still.mean, 10.0)
    wider = (moved.high - moved.low) / (still.high - still.low)
    assert np.median(wider) < 1.6  # ten standard deviations within one block, which counts for at most four


def test_the_error_of_the_origin_widens_the_interval():
    values = np.random.default_rng(44).standard_normal((70, 5))
    known, unknown = (trailing(values[-7:], of_blocks(values, 7), np.full(5, v), 0.95) for v in (0.0, 1.0))
    assert (unknown.high - unknown.low > 1.5 * (known.high - known.low)).all()


def test_gaps_are_left_out_and_too_little_is_unknown():
    values = np.random.default_rng(45).standard_normal((35, 3))
    values[-7:, 1] = np.nan
    values[-1, 2] = np.nan
    found = trailing(values[-7:], of_blocks(values, 7), np.zeros(3), 0.95)
    assert np.isnan(found.mean[1]) and np.isnan(found.low[1])
    assert np.isclose(found.mean[2], values[-7:-1, 2].mean())
    nothing = trailing(values[-7:, :1], Dispersion.start(1), np.zeros(1), 0.95)
    assert np.isnan(nothing.mean).all()

from __future__ import annotations

import numpy as np
from scipy import stats

from monitor.stats.sequential.pooled import Pooled

STREAMS, BUDGET = 20, 100.0
INCIDENT = 4  # batches in a row that are one


def play(z, pooled=None):
    """Yields what is known after every batch of z, shape (T, S); NaN where a stream was not judged."""
    pooled = Pooled.start(z.shape[1]) if pooled is None else pooled
    for row in z:
        judged = np.isfinite(row)
        pooled = pooled.add(np.where(judged, np.clip(row, -3, 3), 0.0), judged, INCIDENT)
        yield pooled


def last(z, pooled=None):
    return list(play(z, pooled))[-1]


def taught(z):
    return last(z).silenced()


def dependent(rng, batches):
    """Normal scores that all share a factor: correlation one half."""
    return (rng.standard_normal((batches, STREAMS)) + rng.standard_normal((batches, 1))) / np.sqrt(2.0)


def test_the_promise_holds_for_streams_that_move_together():
    alarms = batches = 0
    for seed in range(12):
        z = dependent(np.random.default_rng([61, seed]), 360)
        pooled = taught(z[:60])
        for t in range(60, 360):
            pooled = last(z[t : t + 1], pooled)
            batches += 1
            if pooled.evidence >= BUDGET:
                alarms += 1
                pooled = pooled.forget()
    assert stats.poisson.sf(alarms - 1, batches / BUDGET) > 1e-3


def test_a_change_of_many_streams_is_found_though_none_of_them_tells():
    delays = []
    for seed in range(15):
        rng = np.random.default_rng([62, seed])
        pooled = taught(rng.standard_normal((60, STREAMS)))
        shifted = rng.standard_normal((40, STREAMS)) + rng.choice([-1.0, 1.0], STREAMS)  # of one sd, either way
        delays.append(next(t for t, after in enumerate(play(shifted, pooled), 1) if after.evidence >= 10 * BUDGET))
    # What a single stream at 1 sd needs for the same evidence is some ln(1000)/½ = 14 batches.
    assert np.median(delays) <= 5


def test_one_extraordinary_batch_is_not_enough():
    rng = np.random.default_rng(63)
    pooled = taught(rng.standard_normal((60, STREAMS)))
    batches = rng.standard_normal((12, STREAMS))
    batches[0] = 3.0 * rng.choice([-1.0, 1.0], STREAMS)
    assert max(after.evidence for after in play(batches, pooled)) < BUDGET


def test_the_sign_of_a_stream_does_not_matter():
    rng = np.random.default_rng(65)
    z = dependent(rng, 40) + 0.3
    signs = rng.choice([-1.0, 1.0], STREAMS)
    np.testing.assert_allclose(last(z * signs).detector, last(z).detector, rtol=1e-9)


def test_scores_that_keep_some_autocorrelation_are_ordinary_once_learnt():
    alarms = batches = 0
    for seed in range(12):
        rng = np.random.default_rng([64, seed])
        z = rng.standard_normal((460, STREAMS))
        for t in range(1, 460):
            z[t] = 0.15 * z[t - 1] + np.sqrt(1 - 0.15**2) * z[t]
        pooled = taught(z[:160])
        for t in range(160, 460):
            pooled = last(z[t : t + 1], pooled)
            batches += 1
            if pooled.evidence >= BUDGET:
                alarms += 1
                pooled = pooled.forget()
    assert stats.poisson.sf(alarms - 1, batches / BUDGET) > 1e-3


def test_before_there_is_a_direction_nothing_is_said():
    nothing = np.full((5, STREAMS), np.nan)
    after = last(nothing)
    assert after.evidence == 0.0 and after.regression.dof[0] == 0.0
    first = last(np.ones((1, STREAMS)))
    assert first.evidence == 0.0 and first.direction.all()

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.domain.watch.season import Season

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def test_phases_come_from_the_timestamp():
    for hours in (0, 5, 31, 167, 168, 1000):
        at = MONDAY + timedelta(hours=hours)
        assert Season.WEEKDAY.slot(at) == hours // 24 % 7
        assert Season.HOUR.slot(at) == hours % 24
        assert Season.HOUR_OF_WEEK.slot(at) == hours % 168
        assert Season.NONE.slot(at) == 0


@pytest.mark.parametrize("season", list(Season))
def test_dummies_tell_every_phase_they_can_from_the_others(season):
    moments = [MONDAY + timedelta(hours=h) for h in range(168)]
    design = np.array([[1.0, *season.dummies(at)] for at in moments])
    assert design.shape[1] == season.regressors + 1
    assert np.linalg.matrix_rank(design) == season.regressors + 1


@pytest.mark.parametrize("season", list(Season))
def test_without_a_moment_the_dummies_are_their_mean_over_the_season(season):
    mean = np.mean([season.dummies(MONDAY + timedelta(hours=h)) for h in range(168)], axis=0)
    assert np.allclose(season.dummies(None), mean)


def test_a_naive_moment_is_refused():
    with pytest.raises(ValueError, match="naive"):
        Season.WEEKDAY.slot(datetime(2024, 1, 1))

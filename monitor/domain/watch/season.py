"""The season's phase comes from the timestamp, never from a counter: a missing batch must not shift the week."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import numpy as np

from monitor.domain.batch import aware
from monitor.stats.sequential.regression import Array

_DAYS = 7
_HOURS = 24


class Season(StrEnum):
    """What in the calendar explains a batch. Phases are in the zone of the timestamp given."""

    NONE = "none"
    WEEKDAY = "weekday"
    HOUR = "hour"
    HOUR_OF_WEEK = "hour_of_week"

    @property
    def slots(self) -> int:
        """Number of phases."""
        return {"none": 1, "weekday": _DAYS, "hour": _HOURS, "hour_of_week": _DAYS * _HOURS}[self.value]

    @property
    def regressors(self) -> int:
        """Number of dummies; an hour of the week is a day plus an hour plus what its slot was before."""
        return {"none": 0, "weekday": _DAYS - 1, "hour": _HOURS - 1, "hour_of_week": _DAYS + _HOURS - 2}[self.value]

    def slot(self, at: datetime) -> int:
        """The phase of a moment, from 0."""
        aware(at)
        hour = at.hour
        return {
            "none": 0,
            "weekday": at.weekday(),
            "hour": hour,
            "hour_of_week": at.weekday() * _HOURS + hour,
        }[self.value]

    def dummies(self, at: datetime | None) -> Array:
        """Regressors of a moment, the first phase being the base; without a moment, their mean over the season."""
        if self is Season.NONE:
            return np.zeros(0)
        if self is Season.WEEKDAY:
            return _indicator(_DAYS, None if at is None else at.weekday())
        if self is Season.HOUR:
            return _indicator(_HOURS, None if at is None else at.hour)
        day, hour = (None, None) if at is None else (at.weekday(), at.hour)
        return np.concatenate([_indicator(_DAYS, day), _indicator(_HOURS, hour)])


def _indicator(phases: int, phase: int | None) -> Array:
    if phase is None:
        return np.full(phases - 1, 1.0 / phases)
    full = np.zeros(phases)
    full[phase] = 1.0
    return full[1:]

"""What is followed of a model from batch to batch: the streams of its four channels, and how to read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt

from monitor.domain.profile import Profile
from monitor.domain.reference import Reference
from monitor.domain.verdict import Channel
from monitor.domain.watch.column_streams import ColumnStreams
from monitor.domain.watch.loss_streams import loss_observation, loss_streams
from monitor.domain.watch.prior_streams import PriorStreams
from monitor.domain.watch.streams import Observation, StreamSet
from monitor.errors import DataError
from monitor.stats.moments import Moments


class ModelStreams:
    """`sets` holds the channels that can be watched; `without` says of the others why they cannot."""

    def __init__(
        self,
        inputs: Reference,
        predictions: Reference,
        confusion: npt.NDArray[np.float64] | None,
        classes: tuple[str, ...],
        loss: Moments,
        *,
        leave_out: Collection[str] = (),
    ) -> None:
        self._inputs = ColumnStreams(inputs.columns, inputs.rows, leave_out=leave_out)
        self._predictions = ColumnStreams(predictions.columns, predictions.rows)
        self._loss = loss
        sets = {Channel.INPUTS: self._inputs.set, Channel.PREDICTIONS: self._predictions.set}
        without: dict[Channel, str] = {}
        if confusion is None:
            without[Channel.LABELS] = "a value has no class shares"
        else:
            self._prior = PriorStreams(confusion, classes, predictions.rows)
            sets[Channel.LABELS] = self._prior.set
            if not self._prior.set.streams:
                without[Channel.LABELS] = "the model's predictions do not tell the classes apart"
        try:
            sets[Channel.PERFORMANCE] = loss_streams(loss)
        except DataError as exc:
            without[Channel.PERFORMANCE] = str(exc)
        self.sets: Mapping[Channel, StreamSet] = {c: s for c, s in sets.items() if c not in without}
        self.without: Mapping[Channel, str] = without

    def inputs(self, profile: Profile, at: datetime | None) -> Observation:
        return self._inputs.observe(profile.columns, at)

    def predictions(self, profile: Profile, at: datetime | None) -> Observation:
        return self._predictions.observe(profile.columns, at)

    def labels(self, predicted: npt.NDArray[np.int64], at: datetime | None) -> Observation:
        """`predicted` (k,): how often each class was the most probable one."""
        return self._prior.observe(predicted, at)

    def performance(self, losses: Moments, at: datetime | None) -> Observation:
        """`losses`: of the labelled rows, in the measure that `loss` is in."""
        return loss_observation(self._loss, losses, at)

"""What goes with a model version: the reference of its inputs, of its predictions, and what it got wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain import columns as cols
from monitor.domain.held_out import HeldOut
from monitor.domain.measures import Measures
from monitor.domain.model_streams import ModelStreams
from monitor.domain.packed import Arrays, pack, unpack
from monitor.domain.profile import Profile
from monitor.domain.reference import Reference
from monitor.domain.schema import VALUE, Kind, Schema
from monitor.domain.verdict import Channel
from monitor.domain.watch.calendar import calendar_columns
from monitor.domain.watch.pieces import Cut, Pieces, Times
from monitor.domain.watch.streams import Observation
from monitor.errors import DataError
from monitor.stats.calibration import Calibration
from monitor.stats.label_shift import confusion_matrix
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.losses import absolute_error, log_loss, predicted_classes
from monitor.stats.moments import Moments
from monitor.stats.performance import metric as measure

_FORM, _VERSION = "model reference", 4
_TWO = 2
_PIECE_ARRAYS = ("starts", "values", "rows")

Scores = npt.NDArray[np.float64]

PREDICTED = "predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReference:
    """`inputs` is of the rows the model was trained and held out on, all the rest of the held-out rows alone.

    `predictions`: numeric columns `score:CLASS` (for two classes only the last one's) and the categorical column
    `predicted`, or for regression the numeric column `value`. `confusion` (k, k): joint shares P(predicted i,
    label j); `label_shift`: what class shares are estimated from; both None for regression. `held_out`: a sample of the
    held-out rows, those of `label_shift`. `loss`: per row, log loss or absolute error. `calendar` names the features
    that are functions of the timestamp. `warm_up`: what the channels of `streams()` said, piece by piece in order of
    time.
    """

    inputs: Reference
    predictions: Reference
    confusion: npt.NDArray[np.float64] | None
    label_shift: LabelShift | None
    held_out: HeldOut
    classes: tuple[str, ...]
    loss: Moments
    metric: str
    metric_value: float
    calendar: tuple[str, ...]
    warm_up: Mapping[Channel, Pieces]

    @classmethod
    def fit(
        cls,
        inputs_frame: Any,
        schema: Schema,
        *,
        held_out_scores: Scores,
        held_out_target: npt.NDArray[Any],
        classes: tuple[str, ...],
        metric: str,
        positive: int | None = None,
        times: Times | None = None,
    ) -> ModelReference:
        """`held_out_scores` (n, k) or (n,), `held_out_target` (n,) codes into `classes` (−1: unknown class) or values.

        The held-out rows are the last ones of `inputs_frame`, whose rows have `times`, UTC, or are in order of time.
        `positive` is the class that ranks the rows for metrics that rank. Raises DataError for shapes that disagree.
        """
        if len(held_out_scores) != len(held_out_target):
            raise DataError(f"{len(held_out_scores)} held-out scores, {len(held_out_target)} targets")
        _check_shape(held_out_scores, classes)
        target = np.asarray(held_out_target)
        loss = log_loss(held_out_scores, target) if classes else absolute_error(held_out_scores, target)
        score_table = _score_columns(held_out_scores, classes)
        inputs = Reference.fit(inputs_frame, schema)
        predictions = Reference.fit(score_table, _score_schema(classes))
        confusion = confusion_matrix(predicted_classes(held_out_scores), target, len(classes)) if classes else None
        of_loss = Moments.of(loss)
        streams = ModelStreams(inputs, predictions, confusion, classes, of_loss)
        rows = _Rows(inputs_frame, score_table, held_out_scores, loss)
        held_out = HeldOut.fit(inputs_frame, schema, held_out_scores, target)
        return cls(
            inputs=inputs,
            predictions=predictions,
            confusion=confusion,
            label_shift=LabelShift.fit(held_out.scores, held_out.target) if classes else None,
            held_out=held_out,
            classes=tuple(classes),
            loss=of_loss,
            metric=metric,
            metric_value=measure(metric, held_out_scores, target, positive=positive),
            calendar=() if times is None else calendar_columns(inputs_frame, schema, times),
            warm_up=_warm_up(streams, inputs, predictions, rows, times),
        )

    def streams(self, leave_out: Collection[str] = ()) -> ModelStreams:
        """Of all four channels, without the features in `leave_out`."""
        return ModelStreams(self.inputs, self.predictions, self.confusion, self.classes, self.loss, leave_out=leave_out)

    @property
    def held_out_rows(self) -> int:
        return self.predictions.rows

    @property
    def prior(self) -> Mapping[str, float]:
        """Share of each class among the held-out rows; empty for regression."""
        if self.confusion is None:
            return {}
        return dict(zip(self.classes, self.confusion.sum(axis=0).tolist(), strict=True))

    def score_columns(self, scores: Scores) -> dict[str, npt.NDArray[Any]]:
        """The table of which `predictions` takes profiles. Raises DataError for scores of another shape."""
        _check_shape(scores, self.classes)
        return _score_columns(scores, self.classes)

    def profiles(self, rows: Any, scores: Scores) -> dict[Channel, Profile]:
        """Of a batch's features and of its scores, (n, k) or (n,). Raises DataError as `score_columns` does."""
        return {
            Channel.INPUTS: self.inputs.profile(rows),
            Channel.PREDICTIONS: self.predictions.profile(self.score_columns(scores)),
        }

    def compare(self, profiles: Mapping[Channel, Profile], measures: Sequence[str]) -> dict[Channel, Measures]:
        """Measure every column of both, as `Reference.compare` does."""
        return {
            Channel.INPUTS: self.inputs.compare(profiles[Channel.INPUTS], measures),
            Channel.PREDICTIONS: self.predictions.compare(profiles[Channel.PREDICTIONS], measures),
        }

    def predicted_counts(self, scores: Scores) -> npt.NDArray[np.int64]:
        """How often each class is the most probable one, shape (k,)."""
        return _predicted_counts(scores)

    def to_bytes(self) -> bytes:
        """A versioned form, its only rows those of `held_out`; `from_bytes` is the inverse."""
        encoding, held_out = self.held_out.to_plain()
        arrays: Arrays = {
            **{f"held_out.{name}": array for name, array in held_out.items()},
            "inputs": np.frombuffer(self.inputs.to_bytes(), dtype=np.uint8),
            "predictions": np.frombuffer(self.predictions.to_bytes(), dtype=np.uint8),
        }
        if self.confusion is not None:
            arrays["confusion"] = self.confusion
        if self.label_shift is not None:
            arrays["bias"] = self.label_shift.calibration.bias
        for channel, pieces in self.warm_up.items():
            for part in _PIECE_ARRAYS:
                arrays[f"{channel}.{part}"] = getattr(pieces, part)
        header = {
            "encoding": encoding,
            "calendar": list(self.calendar),
            "seconds": {channel: pieces.seconds for channel, pieces in self.warm_up.items()},
            "classes": list(self.classes),
            "sharpness": None if self.label_shift is None else self.label_shift.calibration.sharpness,
            "loss": asdict(self.loss),
            "metric": self.metric,
            "metric_value": self.metric_value,
        }
        return pack(_FORM, _VERSION, header, arrays)

    @classmethod
    def from_bytes(cls, body: bytes, file: str | None = None) -> ModelReference:
        """Raises ArtefactError, naming `file`, for what is not a model reference of this release, or damaged."""
        header, arrays = unpack(_FORM, _VERSION, body, file)
        of_held_out = {n.removeprefix("held_out."): array for n, array in arrays.items() if n.startswith("held_out.")}
        held_out = HeldOut.from_plain(header["encoding"], of_held_out)
        return cls(
            inputs=Reference.from_bytes(arrays["inputs"].tobytes(), file),
            predictions=Reference.from_bytes(arrays["predictions"].tobytes(), file),
            confusion=arrays.get("confusion"),
            label_shift=None
            if header["sharpness"] is None
            else _label_shift(header["sharpness"], arrays["bias"], held_out),
            held_out=held_out,
            classes=tuple(header["classes"]),
            loss=Moments(**header["loss"]),
            metric=header["metric"],
            metric_value=header["metric_value"],
            calendar=tuple(header["calendar"]),
            warm_up={
                Channel(channel): Pieces(seconds=seconds, **{p: arrays[f"{channel}.{p}"] for p in _PIECE_ARRAYS})
                for channel, seconds in header["seconds"].items()
            },
        )


def _label_shift(sharpness: float, bias: Scores, held_out: HeldOut) -> LabelShift:
    return LabelShift.of(Calibration(sharpness=sharpness, bias=bias), held_out.scores, held_out.target)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What the pieces are cut from; the last three are of the held-out rows."""

    inputs: Any
    score_table: Mapping[str, npt.NDArray[Any]]
    scores: Scores
    losses: npt.NDArray[np.float64]


def _warm_up(
    streams: ModelStreams, inputs: Reference, predictions: Reference, rows: _Rows, times: Times | None
) -> dict[Channel, Pieces]:
    """Every channel that can be watched, cut on a common grid; the labels' by what was predicted."""
    whole = Cut.of(inputs.rows, times)
    ordered = {name: cols.take(rows.inputs, name, whole.order) for name in inputs.schema.features}
    held_out = Cut.of(predictions.rows, None if times is None else times[inputs.rows - predictions.rows :])
    scored = {name: cells[held_out.order] for name, cells in rows.score_table.items()}
    scores, losses = rows.scores[held_out.order], rows.losses[held_out.order]
    observed: dict[Channel, Iterator[Observation]] = {
        Channel.INPUTS: (
            streams.inputs(inputs.profile({name: cells[at] for name, cells in ordered.items()}), start)
            for start, at in whole
        ),
        Channel.PREDICTIONS: (
            streams.predictions(predictions.profile({name: cells[at] for name, cells in scored.items()}), start)
            for start, at in held_out
        ),
        Channel.LABELS: (streams.labels(_predicted_counts(scores[at]), start) for start, at in held_out),
        Channel.PERFORMANCE: (streams.performance(Moments.of(losses[at]), start) for start, at in held_out),
    }
    seconds = {Channel.INPUTS: whole.seconds}
    return {
        channel: Pieces.of(observed[channel], streams.sets[channel], seconds.get(channel, held_out.seconds))
        for channel in streams.sets
    }


def _predicted_counts(scores: Scores) -> npt.NDArray[np.int64]:
    return np.bincount(predicted_classes(scores), minlength=scores.shape[1]).astype(np.int64)


def _check_shape(scores: Scores, classes: tuple[str, ...]) -> None:
    expected = (len(classes),) if classes else ()
    if scores.shape[1:] != expected:
        raise DataError(f"scores of shape {scores.shape}, expected (n, {len(classes)})" if classes else
                        f"scores of shape {scores.shape}, expected (n,)")  # fmt: skip


def _scored(classes: tuple[str, ...]) -> range:
    """Columns of the scores that are watched: of two probabilities one says it all."""
    return range(1, _TWO) if len(classes) == _TWO else range(len(classes))


def _score_columns(scores: Scores, classes: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    if not classes:
        return {VALUE: scores}
    names = np.array(classes, dtype=object)
    columns: dict[str, npt.NDArray[Any]] = {f"score:{classes[i]}": scores[:, i] for i in _scored(classes)}
    return {**columns, PREDICTED: names[predicted_classes(scores)]}


def _score_schema(classes: tuple[str, ...]) -> Schema:
    if not classes:
        return Schema(features={VALUE: Kind.NUMERIC})
    numeric = {f"score:{classes[i]}": Kind.NUMERIC for i in _scored(classes)}
    return Schema(features={**numeric, PREDICTED: Kind.CATEGORICAL})

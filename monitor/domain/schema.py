"""What the columns of a deployment mean. The schema is the contract between data, model and detector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from monitor.errors import ConfigError

_TWO = 2
_MAX_NUMERIC_CLASSES = 20  # more distinct whole numbers than these are quantities, not classes


VALUE = "value"  # stands for the class where there is none: the score of a regression


class Kind(StrEnum):
    """How a feature's values are read, summarised and compared."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    IMAGE = "image"  # a fixed number of bytes per row: grey or colour values 0..255
    VECTOR = "vector"  # a list of floats of fixed length per row

    @property
    def is_array(self) -> bool:
        return self in (Kind.IMAGE, Kind.VECTOR)


class LabelKind(StrEnum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class Label:
    """The column to be predicted. Class labels are compared as text: 1, "1" and 1.0 are one class."""

    name: str
    kind: LabelKind
    positive: str | None = None  # binary only: the class whose probability ranks the rows

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", LabelKind(self.kind))
        if self.positive is not None and self.kind is not LabelKind.BINARY:
            raise ConfigError(f"label {self.name!r}: `positive` is for binary labels, this one is {self.kind}")

    @property
    def is_class(self) -> bool:
        return self.kind is not LabelKind.REGRESSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Column roles and kinds.

    `features` maps each model input, in order, to its kind; `id` identifies a row across deliveries;
    `timestamp` is event time; `segments` are the features by which results are broken down.
    Values of `private` columns, features or the id, are in the collected rows and nowhere else: no message shows one.
    `timezone` is the zone of timestamps that carry none; without it such timestamps are refused.
    `control`, a boolean column, marks rows that were not served, or at random; rows to train on may lack it.
    `scores` of a model that is served elsewhere: the column of each class's probability (of a binary label one is
    enough), or under `VALUE` that of a regression.
    """

    features: Mapping[str, Kind]
    id: str | None = None
    timestamp: str | None = None
    timezone: str | None = None
    label: Label | None = None
    segments: tuple[str, ...] = field(default=())
    control: str | None = None
    private: tuple[str, ...] = field(default=())
    scores: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", {name: _kind(name, kind) for name, kind in self.features.items()})
        object.__setattr__(self, "segments", tuple(self.segments))
        object.__setattr__(self, "private", tuple(self.private))
        object.__setattr__(self, "scores", dict(self.scores))
        if not self.features:
            raise ConfigError("schema: no features")
        label = self.label.name if self.label else None
        roles = [r for r in (self.id, self.timestamp, self.control, label, *self.scores.values()) if r is not None]
        for name in roles:
            if name in self.features:
                raise ConfigError(
                    f"schema: column {name!r} is a feature and also id, timestamp, control, label or score"
                )
        if len(set(roles)) != len(roles):
            raise ConfigError("schema: id, timestamp, control, label and scores must be different columns")
        for name in self.segments:
            if self.features.get(name) not in (Kind.CATEGORICAL, Kind.BOOLEAN):
                raise ConfigError(f"schema: segment {name!r} is not a categorical or boolean feature")
        for name in self.private:
            if name not in self.features and name != self.id:
                raise ConfigError(f"schema: private column {name!r} is neither a feature nor the id")
            if name in self.segments:
                raise ConfigError(f"schema: {name!r} cannot be private and a segment, whose values are shown")

    def columns_of(self, *kinds: Kind) -> tuple[str, ...]:
        """Names of the features of these kinds, in schema order."""
        return tuple(name for name, kind in self.features.items() if kind in kinds)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        label = self.label
        return {
            "features": {name: kind.value for name, kind in self.features.items()},
            "id": self.id,
            "timestamp": self.timestamp,
            "timezone": self.timezone,
            "label": label and {"name": label.name, "kind": label.kind.value, "positive": label.positive},
            "segments": list(self.segments),
            "control": self.control,
            "private": list(self.private),
            "scores": dict(self.scores),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Schema:
        label = plain.get("label")
        return cls(**{**plain, "label": Label(**label) if label else None})

    @classmethod
    def infer(
        cls, frame: Any, *, id: str | None = None, timestamp: str | None = None, label: str | Label | None = None
    ) -> Schema:
        """Guess the features' kinds from the column types of a table; other roles are as told.

        Columns of dates and times are left out: they are no features. A label given by name is taken for a regression
        when it holds fractions or more than 20 distinct numbers, otherwise for classes. Raises DataError naming a
        column that is missing or whose type cannot be a feature.
        """
        from monitor.domain import columns  # needs `Kind`, so it cannot be imported first

        roles = {id, timestamp, label.name if isinstance(label, Label) else label}
        kinds = {
            name: columns.kind_of(columns.column(frame, name), name)
            for name in columns.names(frame)
            if name not in roles
        }
        if isinstance(label, str):
            label = Label(label, _label_kind(columns.distinct(columns.column(frame, label), label)))
        features = {name: kind for name, kind in kinds.items() if kind is not None}
        return cls(features=features, id=id, timestamp=timestamp, label=label)

    @property
    def fingerprint(self) -> str:
        """Changes when a model trained under the old schema can no longer be used under the new one."""
        label = self.label
        contract = [
            list(self.to_dict()["features"].items()),
            label and [label.name, label.kind, label.positive],
            *([sorted(self.private)] if self.private else []),  # a version keeps values of what was not private yet
        ]
        return hashlib.blake2b(json.dumps(contract).encode(), digest_size=8).hexdigest()


def _label_kind(levels: tuple[str, ...]) -> LabelKind:
    """From the distinct values, as text."""
    if len(levels) <= _TWO:
        return LabelKind.BINARY
    try:
        numbers = [float(level) for level in levels]
    except ValueError:
        return LabelKind.MULTICLASS
    few = len(numbers) <= _MAX_NUMERIC_CLASSES and all(number.is_integer() for number in numbers)
    return LabelKind.MULTICLASS if few else LabelKind.REGRESSION


def _kind(name: str, kind: str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        raise ConfigError(f"schema: feature {name!r} has kind {kind!r}; known are {_listed(Kind)}") from None


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(kinds)

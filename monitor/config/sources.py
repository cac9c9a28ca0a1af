"""Where batches and labels come from, when they are looked for, and what their columns mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from monitor.config.values import Batches, Duration, Part
from monitor.domain.schema import Kind, Label, LabelKind, Schema


class LabelConfig(Part):
    name: str
    kind: LabelKind
    positive: str | None = None


class SchemaConfig(Part):
    features: dict[str, Kind] = Field(min_length=1)
    id: str
    timestamp: str | None = None
    timezone: str | None = None
    label: LabelConfig
    segments: list[str] = Field(default=[])
    control: str | None = None  # boolean column: rows that were not served, or at random
    private: list[str] = Field(default=[])

    def value(self, scores: Mapping[str, str]) -> Schema:
        """`scores`: class → column, of a model that is served elsewhere."""
        label = Label(self.label.name, self.label.kind, self.label.positive)
        return Schema(**{**self.model_dump(exclude={"label"}), "label": label, "scores": scores})


_ONLY_SQL = ("url", "query", "window", "since", "lateness", "timeout")
_BOUNDS = re.compile(r":(start|end)\b")
_Source = TypeVar("_Source", "BatchesConfig", "LabelsConfig")


def _of_this_source(config: _Source) -> _Source:
    """Every source has the keys it needs, and none that it would ignore."""
    needed = {"files": ("path",), "push": (), "sql": ("url", "query", "window", "since")}[config.source]
    for key in needed:
        if getattr(config, key) is None:
            raise ValueError(f"source `{config.source}` needs `{key}`")
    others = {"files": _ONLY_SQL, "push": (*_ONLY_SQL, "path"), "sql": ("path",)}[config.source]
    if wrong := sorted(config.model_fields_set.intersection(others)):
        raise ValueError(f"`{wrong[0]}` has no meaning for source `{config.source}`")
    if config.query is not None and set(_BOUNDS.findall(config.query)) != {"start", "end"}:
        raise ValueError("`query` must hold :start and :end, such as `WHERE at >= :start AND at < :end`")
    return config


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("give the zone as well, such as 2026-01-01T00:00:00Z")
    return moment.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]
Span = Annotated[Duration, Field(gt=timedelta(0))]


class BatchesConfig(Part):
    source: Literal["files", "sql", "push"] = "files"  # what is pushed over HTTP is taken whatever the source is
    path: str | None = None
    url: str | None = None  # `sql`: SQLAlchemy URL; `${NAME}` is from the environment
    query: str | None = None
    window: Span | None = None
    since: Moment | None = None  # where the first window starts
    lateness: Duration = timedelta(0)  # after a window's end, until its rows are taken for complete
    timeout: Duration = timedelta(minutes=1)  # of one query
    settle: Duration = timedelta(seconds=2)  # a file that changed more recently may still be growing
    max_bad_share: float = Field(default=0.1, ge=0, le=1)  # more quarantined rows than this: the batch is bad data
    every: Duration | None = None  # how often a batch comes; None: learnt from those that came
    future: Duration = timedelta(hours=1)  # tolerated clock skew: later timestamps are quarantined

    _complete = model_validator(mode="after")(_of_this_source)


class LabelsConfig(Part):
    source: Literal["files", "sql", "push"] = "files"
    path: str | None = None
    url: str | None = None  # `sql`: SQLAlchemy URL; `${NAME}` is from the environment
    query: str | None = None
    window: Span | None = None
    since: Moment | None = None  # where the first window starts
    lateness: Duration = timedelta(0)  # after a window's end, until its rows are taken for complete
    timeout: Duration = timedelta(minutes=1)  # of one query
    delay: Duration = timedelta(0)
    matured_at: float = Field(default=0.8, gt=0, le=1)
    hold: Batches = 10  # windows whose labels are held, running, before a change is believed; 0 holds none
    available_at: str | None = None  # column with the moment at which a label was known
    settle: Duration = timedelta(seconds=2)

    _complete = model_validator(mode="after")(_of_this_source)


class ScheduleConfig(Part):
    every: Duration | None = None
    cron: str | None = None
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise ValueError("give either `every` or `cron`")
        return self

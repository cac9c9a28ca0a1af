"""How a deployment is watched, and what each channel may cause."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from monitor.config.values import Batches, Part
from monitor.domain.measure_catalogue import DEFAULT, check_names
from monitor.domain.performance_estimate import Way
from monitor.domain.verdict import Channel
from monitor.domain.watch.rule import FalseAlarmRate, Mode
from monitor.domain.watch.season import Season
from monitor.errors import ConfigError


class ChannelActions(Part):
    """What each channel may cause: `log` shows it, `alert` also pages, `retrain` also brings a retraining forward."""

    inputs: Literal["log", "alert", "retrain"] = "log"
    predictions: Literal["log", "alert", "retrain"] = "alert"
    labels: Literal["log", "alert", "retrain"] = "alert"
    performance: Literal["log", "alert", "retrain"] = "retrain"

    def of(self, channel: Channel) -> str:
        return str(getattr(self, channel.value))


_ONLY_BUDGET = (
    "false_alarms",
    "incidents",
    "season",
    "mode",
    "max_distance",
    "error_rate",
    "watch_calendar",
    "columns",
)
_ONLY_PER_BATCH = ("alpha", "hold", "min_rows")


def _parse_rate(text: Any) -> str:
    try:
        FalseAlarmRate.parse(str(text))
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    return str(text)


Rate = Annotated[str, BeforeValidator(_parse_rate)]


class ColumnConfig(Part):
    """What is different for some features; None: as for all."""

    watch: bool = True
    min_effect: float | None = Field(default=None, ge=0, le=1)
    max_distance: float | None = Field(default=None, gt=0)


def _known_measures(names: list[str]) -> list[str]:
    try:
        check_names(names)
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    return names


class DetectConfig(Part):
    """`budget` promises a rate of false alarms; `per_batch` tests each batch for itself."""

    rule: Literal["budget", "per_batch"] = "budget"
    channels: ChannelActions = ChannelActions()
    min_effect: float = Field(default=0.03, ge=0, le=1)  # AUC scale, about 0.1 standard deviations; shares for classes
    min_loss_increase: float = Field(default=0.1, ge=0)  # relative; performance channel
    false_alarms: Rate = "1 per year"  # per channel, over all its columns
    incidents: Rate | None = None  # one-batch findings have a budget of their own; None: the same
    season: Season = Season.NONE
    mode: Mode = Mode.NORMAL
    max_distance: float = Field(default=0.10, gt=0)  # AUC scale or share, from the training reference
    error_rate: Literal["none", "adwin"] = "none"  # beside the loss, row by row; outside the budget of false alarms
    watch_calendar: bool = False  # also features that are functions of the timestamp
    columns: dict[str, ColumnConfig] = Field(
        default={}
    )  # by feature name or pattern; the last one that says something counts
    measures: Annotated[list[str], AfterValidator(_known_measures)] = Field(default=list(DEFAULT), min_length=1)
    export: list[str] = Field(default=[])  # those of `measures` that are also metrics, a series per column
    alpha: float = Field(default=0.001, gt=0, lt=1)  # family-wise over the columns of one batch and channel
    hold: Batches = 2  # consecutive drifting batches before the verdict is drift
    min_rows: int = Field(default=30, ge=2)

    @model_validator(mode="after")
    def _of_this_rule(self) -> Self:
        other = _ONLY_PER_BATCH if self.rule == "budget" else _ONLY_BUDGET
        if wrong := sorted(self.model_fields_set.intersection(other)):
            raise ValueError(f"`{wrong[0]}` has no meaning for rule `{self.rule}`; set `rule` or leave it out")
        return self

    @model_validator(mode="after")
    def _exported_are_stored(self) -> Self:
        if unknown := [name for name in self.export if name not in self.measures]:
            raise ValueError(
                f"`export` names {unknown[0]!r}, which is not among `measures`: {', '.join(self.measures)}"
            )
        return self


Metric = Literal["accuracy", "roc_auc", "log_loss", "brier", "f1", "average_precision", "mae", "rmse"]


class PerformanceConfig(Part):
    metric: Metric
    floor: float | None = None  # worse than this on a matured window is drift whatever the test says
    calibration: Literal["bias_corrected", "temperature", "isotonic"] = "bias_corrected"  # before it is estimated
    estimate: Way = "automatic"  # without labels

"""The configuration as values, parsed once. Defaults live here and nowhere else.

`monitor.yaml` describes the process, `deployments/NAME.yaml` one monitored model each. Relative paths are relative
to the *project folder*, the parent of the configuration folder.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from monitor.domain.measure_catalogue import DEFAULT, check_names
from monitor.domain.schema import Kind, Label, LabelKind, Schema
from monitor.domain.verdict import Channel
from monitor.domain.watch.rule import FalseAlarmRate, Mode
from monitor.domain.watch.season import Season
from monitor.errors import ConfigError

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BATCHES = re.compile(r"^\s*(\d+)\s*batch(?:es)?\s*$")

_T = TypeVar("_T", bound="BaseModel")


def parse_duration(text: Any) -> timedelta:
    """Read `90s`, `5m`, `1d`; raises ValueError for anything else, plain numbers included (no unit, no guess)."""
    if isinstance(text, timedelta):
        return text
    if (found := _DURATION.match(str(text))) is None:
        raise ValueError(f"{text!r} is not a duration such as 90s, 5m, 2h, 1d")
    return timedelta(seconds=float(found[1]) * _UNIT_SECONDS[found[2]])


def _parse_batches(text: Any) -> int:
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if (found := _BATCHES.match(str(text))) is None:
        raise ValueError(f"{text!r} is not a number of batches such as `3 batches`")
    return int(found[1])


def _parse_size(text: Any) -> int:
    found = re.match(r"^\s*(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)\s*$", str(text))
    if found is None:
        raise ValueError(f"{text!r} is not a size such as 512MiB or 4GiB")
    return int(float(found[1]) * 1024 ** ("KiB", "MiB", "GiB").index(found[2]) * 1024)


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Batches = Annotated[int, BeforeValidator(_parse_batches), Field(ge=0)]
Size = Annotated[int, BeforeValidator(_parse_size), Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelConfig(_Part):
    name: str
    kind: LabelKind
    positive: str | None = None


class SchemaConfig(_Part):
    features: dict[str, Kind] = Field(min_length=1)
    id: str
    timestamp: str | None = None
    timezone: str | None = None
    label: LabelConfig
    segments: list[str] = []

    def value(self) -> Schema:
        label = Label(self.label.name, self.label.kind, self.label.positive)
        return Schema(**{**self.model_dump(exclude={"label"}), "label": label})


class ModelConfig(_Part):
    code: Path
    params: dict[str, Any] = {}
    seed: int = 0
    timeout: Duration = timedelta(minutes=1)  # for scoring one batch, loading included


class TrainingConfig(_Part):
    path: str


class BatchesConfig(_Part):
    source: Literal["files"] = "files"
    path: str
    settle: Duration = timedelta(seconds=2)  # a file that changed more recently may still be growing
    max_bad_share: float = Field(default=0.1, ge=0, le=1)  # more quarantined rows than this: the batch is bad data
    future: Duration = timedelta(hours=1)  # tolerated clock skew: later timestamps are quarantined


class LabelsConfig(_Part):
    source: Literal["files"] = "files"
    path: str
    delay: Duration = timedelta(0)
    matured_at: float = Field(default=0.8, gt=0, le=1)
    available_at: str | None = None  # column with the moment at which a label was known
    settle: Duration = timedelta(seconds=2)


class ScheduleConfig(_Part):
    every: Duration | None = None
    cron: str | None = None
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise ValueError("give either `every` or `cron`")
        return self


class ChannelActions(_Part):
    """What each channel may cause: `log` shows it, `alert` also pages, `retrain` also brings a retraining forward."""

    inputs: Literal["log", "alert", "retrain"] = "log"
    predictions: Literal["log", "alert", "retrain"] = "alert"
    labels: Literal["log", "alert", "retrain"] = "alert"
    performance: Literal["log", "alert", "retrain"] = "retrain"

    def of(self, channel: Channel) -> str:
        return str(getattr(self, channel.value))


_ONLY_BUDGET = ("false_alarms", "incidents", "season", "mode", "max_distance", "watch_calendar", "columns")
_ONLY_PER_BATCH = ("alpha", "hold", "min_rows")


def _parse_rate(text: Any) -> str:
    try:
        FalseAlarmRate.parse(str(text))
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    return str(text)


Rate = Annotated[str, BeforeValidator(_parse_rate)]


class ColumnConfig(_Part):
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


class DetectConfig(_Part):
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
    watch_calendar: bool = False  # also features that are functions of the timestamp
    columns: dict[str, ColumnConfig] = {}  # by feature name or pattern; the last one that says something counts
    measures: Annotated[list[str], AfterValidator(_known_measures)] = Field(default=list(DEFAULT), min_length=1)
    export: list[str] = []  # those of `measures` that are also metrics, a series per column
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


class PerformanceConfig(_Part):
    metric: Metric
    floor: float | None = None  # worse than this on a matured window is drift whatever the test says


class RetrainWhen(_Part):
    new_labels: float = Field(default=0.2, gt=0)  # new labelled rows as a share of the reference rows
    change: bool = True
    distance: bool = True  # beyond `detect.max_distance`, half as many new labels are enough for one attempt


class RetrainConfig(_Part):
    mode: Literal["auto", "dry_run", "off"] = "auto"
    when: RetrainWhen = RetrainWhen()
    cooldown: Batches = 3
    min_labels: int = Field(default=500, ge=1)
    min_batches: Batches = 3
    max_per_week: int = Field(default=7, ge=1)
    max_failures: int = Field(default=3, ge=1)  # attempts in one episode that did not help before a human is asked
    candidates: list[Literal["all", "recent_1x"]] = Field(default=["all", "recent_1x"], min_length=1)
    timeout: Duration = timedelta(hours=1)
    memory: Size = 8 * 1024**3


class GateConfig(_Part):
    kind: Literal["non_inferior", "off"] = "non_inferior"
    margin: float = Field(default=0.02, ge=0)  # relative to the champion's loss


class PredictionsConfig(_Part):
    correct_prior: bool = False  # serve scores corrected for the class shares of the batch, where these have moved


class ReportsConfig(_Part):
    """`reports: on_drift` is short for `reports: {when: on_drift}`."""

    when: Literal["never", "on_drift", "always"] = "never"
    keep: int = Field(default=20, ge=1)
    max_rows: int = Field(default=20_000, ge=100)  # sampled: a report of more rows takes minutes and gigabytes
    timeout: Duration = timedelta(minutes=5)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, plain: Any) -> Any:
        return {"when": plain} if isinstance(plain, str) else plain


class Deployment(_Part):
    """One monitored model: `deployments/NAME.yaml`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    model: ModelConfig
    training: TrainingConfig | None = None
    schema_: SchemaConfig = Field(alias="schema")
    batches: BatchesConfig
    labels: LabelsConfig | None = None
    schedule: ScheduleConfig
    detect: DetectConfig = DetectConfig()
    performance: PerformanceConfig
    retrain: RetrainConfig = RetrainConfig()
    gate: GateConfig = GateConfig()
    predictions: PredictionsConfig = PredictionsConfig()
    reports: ReportsConfig = ReportsConfig()

    @property
    def schema_value(self) -> Schema:
        return self.schema_.value()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        regression = self.schema_.label.kind is LabelKind.REGRESSION
        if regression != (self.performance.metric in ("mae", "rmse")):
            raise ValueError(
                f"performance.metric {self.performance.metric} does not fit a {self.schema_.label.kind} label"
            )
        if self.schema_.label.kind is LabelKind.MULTICLASS and self.performance.metric in (
            "roc_auc", "f1", "average_precision",
        ):  # fmt: skip
            raise ValueError(f"performance.metric {self.performance.metric} needs a binary label")
        for pattern in self.detect.columns:
            if not any(fnmatchcase(feature, pattern) for feature in self.schema_.features):
                raise ValueError(f"detect.columns: no feature matches {pattern!r}")
        if self.predictions.correct_prior and regression:
            raise ValueError("predictions.correct_prior: a value has no class shares to correct for")
        if self.retrain.mode != "off" and self.labels is None:
            raise ValueError("retrain.mode is not `off` but there are no `labels` to retrain on")
        return self


class HttpConfig(_Part):
    bind: str = "127.0.0.1:8000"


class LogConfig(_Part):
    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Part):
    """The process: `monitor.yaml`."""

    data: Path = Path("var")
    store: str | None = None  # SQLAlchemy URL; by default SQLite in the data folder
    http: HttpConfig = HttpConfig()
    log: LogConfig = LogConfig()
    workers: int = Field(default=2, ge=1)  # deployments checked at the same time
    drain: Duration = timedelta(seconds=8)  # how long a stopping daemon waits for the batch at hand
    trust: list[str] = []  # types that scikit-learn artefacts may hold besides skops' own list
    project: Path = Path()  # filled in by `load`: the folder that relative paths start from

    def path(self, relative: Path | str) -> Path:
        """Resolve against the project folder; absolute paths stay."""
        return self.project / relative

    @property
    def data_folder(self) -> Path:
        return self.path(self.data)

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{self.data_folder / 'monitor.db'}"


def load_settings(folder: Path) -> Settings:
    """Read `folder/monitor.yaml`; a missing file means the defaults, a missing folder is a ConfigError."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such configuration folder; `monitor init` writes one")
    file = folder / "monitor.yaml"
    plain = _read(file) if file.exists() else {}
    return _parse(Settings, {**plain, "project": folder.resolve().parent}, file)


def load_deployment(file: Path) -> Deployment:
    """Read one deployment; raises ConfigError with path, key and nearest key."""
    deployment = _parse(Deployment, _read(file), file)
    if deployment.name != file.stem:
        raise ConfigError(f"{file}: name is {deployment.name!r}, the file says {file.stem!r}; make them equal")
    try:
        deployment.schema_value  # noqa: B018 - roles are checked by the domain's own constructor
    except ConfigError as exc:
        raise ConfigError(f"{file}: {exc}") from None
    return deployment


def load_deployments(folder: Path) -> dict[str, Deployment]:
    """Read all `folder/deployments/*.yaml`, by name."""
    files = sorted((folder / "deployments").glob("*.yaml"))
    return {file.stem: load_deployment(file) for file in files}


def _read(file: Path) -> dict[str, Any]:
    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file}: cannot be read: {exc}") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(f"{file}: not YAML: {exc}") from exc
    if not isinstance(plain, dict):
        raise ConfigError(f"{file}: expected keys and values, found {type(plain).__name__}")
    return plain


def _parse(kind: type[_T], plain: Mapping[str, Any], file: Path) -> _T:
    try:
        return kind.model_validate(plain)
    except ValidationError as exc:
        lines = [_explain(kind, dict(error)) for error in exc.errors()]
        raise ConfigError("\n".join(f"{file}: {line}" for line in lines)) from None


def _explain(kind: type[BaseModel], error: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = list(_keys(kind, error["loc"][:-1]))
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {path!r}; {hint}"
    if error["type"] == "missing":
        return f"missing key {path!r}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _keys(kind: type[BaseModel], path: tuple[Any, ...]) -> Iterator[str]:
    """Names of the keys of the section at `path`, as written in the file."""
    for part in path:
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                kind = next(c for c in _classes(field.annotation) if issubclass(c, BaseModel))
    yield from (field.alias or name for name, field in kind.model_fields.items())


def _classes(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _classes(inner)

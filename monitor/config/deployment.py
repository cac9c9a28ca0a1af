"""One monitored model: `deployments/NAME.yaml`."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from monitor.config.detection import DetectConfig, PerformanceConfig
from monitor.config.retention import RetainConfig
from monitor.config.retraining import GateConfig, ModelConfig, RetrainConfig, TrainingConfig
from monitor.config.sources import BatchesConfig, LabelsConfig, ScheduleConfig, SchemaConfig
from monitor.config.values import Duration, Part
from monitor.domain.schema import LabelKind, Schema
from monitor.stats.label_shift_em import Method


class PredictionsConfig(Part):
    correct_prior: bool = False  # serve scores corrected for the class shares of the batch, where these have moved
    shares: Method = "em"  # how they are estimated


class ReportsConfig(Part):
    """`reports: on_drift` is short for `reports: {when: on_drift}`."""

    when: Literal["never", "on_drift", "always"] = "never"
    keep: int = Field(default=20, ge=1)
    max_rows: int = Field(default=20_000, ge=100)  # sampled: a report of more rows takes minutes and gigabytes
    timeout: Duration = timedelta(minutes=5)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, plain: Any) -> Any:
        return {"when": plain} if isinstance(plain, str) else plain


class Deployment(Part):
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
    retain: RetainConfig = RetainConfig()

    @property
    def schema_value(self) -> Schema:
        return self.schema_.value(self.model.score_columns(self.schema_.label))

    @model_validator(mode="before")
    @classmethod
    def _not_retrained(cls, plain: Any) -> Any:
        """A model that is served elsewhere is not retrained here, so nobody needs to say so."""
        model, retrain = (plain.get(key) for key in ("model", "retrain")) if isinstance(plain, dict) else (None, None)
        if isinstance(model, dict) and "scores" in model and isinstance(retrain, dict | None):
            return {**plain, "retrain": {"mode": "off", **(retrain or {})}}
        return plain

    @model_validator(mode="after")
    def _served_elsewhere(self) -> Self:
        self.model.score_columns(self.schema_.label)
        if self.model.scores is not None and self.retrain.mode != "off":
            raise ValueError(
                "retrain.mode: a model that is served elsewhere is not retrained here; leave it out, or `off`"
            )
        if self.model.scores is not None and self.predictions.correct_prior:
            raise ValueError(
                "predictions.correct_prior: the scores are served elsewhere; corrected ones are kept beside"
            )
        return self

    @model_validator(mode="after")
    def _can_be_estimated(self) -> Self:
        way = self.performance.estimate
        if way != "automatic" and self.schema_.label.kind is LabelKind.REGRESSION:
            raise ValueError(f"performance.estimate: `{way}` is for classes; leave it out")
        if way == "atc" and self.performance.metric != "accuracy":
            raise ValueError(f"performance.estimate: `atc` estimates accuracy, not {self.performance.metric}")
        if way == "atc" and self.predictions.correct_prior:
            raise ValueError(
                "performance.estimate: `atc` is of the model's own scores, and predictions.correct_prior serves others"
            )
        return self

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
        if self.detect.error_rate != "none" and regression:
            raise ValueError("detect.error_rate: a value is not right or wrong; only classes have an error rate")
        if self.predictions.correct_prior and regression:
            raise ValueError("predictions.correct_prior: a value has no class shares to correct for")
        if self.predictions.shares != "em" and regression:
            raise ValueError("predictions.shares: a value has no class shares to estimate")
        if self.retrain.mode != "off" and self.labels is None:
            raise ValueError("retrain.mode is not `off` but there are no `labels` to retrain on")
        return self

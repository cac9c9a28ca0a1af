"""The model's code and training, when it is retrained, and what a candidate must pass."""

from __future__ import annotations

import difflib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from monitor.config.sources import LabelConfig
from monitor.config.values import Batches, Duration, Part, Size
from monitor.domain.candidates import CANDIDATES, DEFAULT, is_own
from monitor.domain.schema import VALUE, LabelKind


def _named(scores: Any) -> Any:
    """Classes as text, as labels are compared: `0: p_0` names the class "0"."""
    if not isinstance(scores, dict):
        return scores
    return {str(name).lower() if isinstance(name, bool) else str(name): column for name, column in scores.items()}


class ModelConfig(Part):
    """Either code of ours, or the columns with the scores of a model that is served elsewhere."""

    code: Path | None = None
    scores: Annotated[list[str] | dict[str, str] | None, BeforeValidator(_named)] = None
    params: dict[str, Any] = Field(default={})
    seed: int = 0
    timeout: Duration = timedelta(minutes=1)  # for scoring one batch, loading included

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.code is None) == (self.scores is None):
            raise ValueError("give `code`, or `scores` when the model is served elsewhere")
        if self.scores is not None and (wrong := sorted(self.model_fields_set - {"scores"})):
            raise ValueError(f"`{wrong[0]}` has no meaning for a model that is served elsewhere; leave it out")
        return self

    def score_columns(self, label: LabelConfig) -> dict[str, str]:
        """By class, or by `VALUE` of a regression; none when the model is code of ours. Raises ValueError."""
        if self.scores is None:
            return {}
        if label.kind is LabelKind.REGRESSION:
            if isinstance(self.scores, dict) or len(self.scores) != 1:
                raise ValueError("model.scores: a regression has one score; give one column")
            return {VALUE: self.scores[0]}
        if isinstance(self.scores, dict):
            if len(self.scores) < (1 if label.kind is LabelKind.BINARY else 2):
                raise ValueError("model.scores: give a column for each class")
            return self.scores
        if len(self.scores) != 1 or label.kind is not LabelKind.BINARY:
            raise ValueError("model.scores: say which class each column is of: scores: {CLASS: COLUMN, …}")
        if label.positive is None:
            raise ValueError("model.scores: one column is the positive class's; name it: schema.label.positive")
        return {label.positive: self.scores[0]}


class TrainingConfig(Part):
    path: str


def known_candidates(names: list[str]) -> list[str]:
    """The names as they are; ValueError for one that does not exist or comes twice."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"candidate {name!r} is named twice")
        if name not in CANDIDATES and not is_own(name):
            near = difflib.get_close_matches(name, CANDIDATES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(CANDIDATES)}"
            raise ValueError(f"unknown candidate {name!r}; {hint}")
    return names


class RetrainWhen(Part):
    new_labels: float = Field(default=0.2, gt=0)  # new labelled rows as a share of the reference rows
    change: bool = True
    distance: bool = True  # beyond `detect.max_distance`, half as many new labels are enough for one attempt


class RetrainConfig(Part):
    mode: Literal["auto", "approve", "shadow", "dry_run", "off"] = "auto"
    when: RetrainWhen = RetrainWhen()
    cooldown: Batches = 3
    min_labels: int = Field(default=500, ge=1)
    min_labels_per_class: int = Field(default=0, ge=0)  # among the rows of a candidate
    min_batches: Batches = 3
    max_per_week: int = Field(default=7, ge=1)
    max_failures: int = Field(default=3, ge=1)  # attempts in one episode that did not help before a human is asked
    shadow_batches: Batches = 10  # mode `shadow`: labelled batches on which the candidate is compared
    watch: Batches = 10  # labelled batches on which a promoted version is compared with its predecessor; 0: no watch
    disk: Size = 1024**3  # no attempt with less free space
    candidates: Annotated[list[str], AfterValidator(known_candidates)] = Field(default=list(DEFAULT), min_length=1)
    earlier: int = Field(default=20, ge=0)  # former champions that are compared with the candidates
    timeout: Duration = timedelta(hours=1)
    memory: Size = 8 * 1024**3


class AnchorConfig(Part):
    """Rows that no model is fitted on and none may forget: a file of them, or a share of the training file."""

    path: str | None = None
    share: float = Field(default=0.0, ge=0, le=0.5)
    margin: float = Field(default=0.1, ge=0)  # relative to the champion's loss on them

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.path is not None and self.share > 0:
            raise ValueError("give either `path` or `share`")
        return self


class GateConfig(Part):
    kind: Literal["non_inferior", "strict", "off"] = "non_inferior"
    margin: float = Field(default=0.02, ge=0)  # relative to the champion's loss
    segments: bool = True  # also in each segment of `schema.segments`
    max_calibration_increase: float | None = Field(default=0.05, ge=0)  # of the expected calibration error
    max_latency_ratio: float | None = Field(default=10.0, gt=0)  # to the champion's
    max_size_ratio: float | None = Field(default=10.0, gt=0)
    anchor: AnchorConfig = AnchorConfig()

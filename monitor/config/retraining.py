"""The model's code and training, when it is retrained, and what a candidate must pass."""

from __future__ import annotations

import difflib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from monitor.config.values import Batches, Duration, Part, Size
from monitor.domain.candidates import CANDIDATES


class ModelConfig(Part):
    code: Path
    params: dict[str, Any] = Field(default={})
    seed: int = 0
    timeout: Duration = timedelta(minutes=1)  # for scoring one batch, loading included


class TrainingConfig(Part):
    path: str


def _known_candidates(names: list[str]) -> list[str]:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"candidate {name!r} is named twice")
        if name not in CANDIDATES:
            near = difflib.get_close_matches(name, CANDIDATES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(CANDIDATES)}"
            raise ValueError(f"unknown candidate {name!r}; {hint}")
    return names


class RetrainWhen(Part):
    new_labels: float = Field(default=0.2, gt=0)  # new labelled rows as a share of the reference rows
    change: bool = True
    distance: bool = True  # beyond `detect.max_distance`, half as many new labels are enough for one attempt


class RetrainConfig(Part):
    mode: Literal["auto", "dry_run", "off"] = "auto"
    when: RetrainWhen = RetrainWhen()
    cooldown: Batches = 3
    min_labels: int = Field(default=500, ge=1)
    min_batches: Batches = 3
    max_per_week: int = Field(default=7, ge=1)
    max_failures: int = Field(default=3, ge=1)  # attempts in one episode that did not help before a human is asked
    candidates: Annotated[list[str], AfterValidator(_known_candidates)] = Field(
        default=["all", "recent_1x", "recent_half", "weighted"], min_length=1
    )
    timeout: Duration = timedelta(hours=1)
    memory: Size = 8 * 1024**3


class GateConfig(Part):
    kind: Literal["non_inferior", "off"] = "non_inferior"
    margin: float = Field(default=0.02, ge=0)  # relative to the champion's loss

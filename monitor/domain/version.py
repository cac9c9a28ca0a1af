"""A model version: immutable, with everything needed to explain and repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from monitor.domain.gate import Check

RETRAINED, RETURNED = "retrain", "returned"  # origins of versions that an attempt brought


class Alias(StrEnum):
    CHAMPION = "champion"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Which rows a version was fitted on.

    `batches` maps the batch id to the number of its rows used; rows of the training file count under its path.
    `rows_digest` is a hash over the ids of the rows in order: equal digests mean equal training sets. `chosen_on`: of
    an earlier version that came back, the batches and rows that it was chosen on without being fitted on them.
    """

    rows: int
    batches: Mapping[str, int] = field(default_factory=dict)
    rows_digest: str = ""
    first: datetime | None = None
    last: datetime | None = None
    chosen_on: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is recorded about a version. `files` maps each file of the version's folder to its SHA-256."""

    deployment: str
    version: int
    created: datetime
    origin: str  # "initial", "retrain", "returned", "added"
    schema_fingerprint: str
    code: str  # path of the model code as configured
    code_hash: str
    params: Mapping[str, Any]
    seed: int
    classes: tuple[str, ...]
    window_rows: int  # rows of the first version's training set: the unit of `recent_1x` and `new_labels`
    lineage: Lineage
    held_out_rows: int
    metrics: Mapping[str, float]  # on the held-out rows, before the refit; undefined ones left out
    candidate: str = "all"  # which selection of rows it was fitted on
    checks: tuple[Check, ...] = ()  # what the gate asked; none without a champion to compare with
    parent: int | None = None
    same_model_as: int | None = None  # of one that came back: the version that this model was trained as
    files: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        plain = asdict(self)
        lineage = plain["lineage"]
        for name in ("first", "last"):
            lineage[name] = lineage[name] and lineage[name].isoformat()
        return {
            **plain,
            "created": self.created.isoformat(),
            "classes": list(self.classes),
            "checks": [check.to_dict() for check in self.checks],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Manifest:
        lineage = dict(plain["lineage"])
        for name in ("first", "last"):
            lineage[name] = lineage[name] and datetime.fromisoformat(lineage[name])
        return cls(
            **{
                **plain,
                "created": datetime.fromisoformat(plain["created"]),
                "classes": tuple(plain["classes"]),
                "checks": tuple(Check.from_dict(check) for check in plain["checks"]),
                "lineage": Lineage(**lineage),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One entry of an alias' history; `version` None means that the alias was taken away."""

    alias: Alias
    version: int | None
    previous: int | None
    at: datetime
    reason: str

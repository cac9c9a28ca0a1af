"""Rows that were served and control rows, which were not, or at random: do their labels differ?

Where what is served changes what happens, the labels of served rows no longer tell what would have happened; those of
control rows do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Labelled rows: how many, the share of each class (of a regression: `mean`, the mean label), and the metric."""

    rows: int
    labels: Mapping[str, float]
    metric: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """`p_value`: that the labels of the two differ by chance as much; `parted`: so small that it warns."""

    served: Side
    control: Side
    p_value: float
    parted: bool

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Control:
        """The inverse of `dataclasses.asdict`."""
        return cls(**{**plain, "served": Side(**plain["served"]), "control": Side(**plain["control"])})

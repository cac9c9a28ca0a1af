"""What is known about a shift while an alarm stands: its type, the evidence, and what is most responsible for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain.shift_kind import ShiftKind
from monitor.stats.shift_evidence import Evidence

MOST_ROWS = 20  # that are named
_MOST_NAMED = 10  # features, segments
_LEAST = 0.01  # share of a feature that is named


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureShare:
    """Part of what tells the rows apart from the held-out ones; all features together: 1."""

    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentShare:
    """`rows`: share of the rows that are in this segment; `responsible`: its share of what tells the rows apart."""

    column: str
    value: str
    rows: float
    responsible: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRatio:
    """`ratio`: how much more common such a row is now than among the held-out rows."""

    batch: str
    id: str
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Of `rows` rows of `batches` batches, those since the change, against the champion's held-out rows."""

    kind: ShiftKind
    reason: str
    evidence: Evidence
    batches: int
    rows: int
    features: tuple[FeatureShare, ...] = ()
    segments: tuple[SegmentShare, ...] = ()
    most_unlike: tuple[RowRatio, ...] = ()

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Shift:
        """The inverse of `to_dict`."""
        return cls(
            **{
                **plain,
                "kind": ShiftKind(plain["kind"]),
                "evidence": Evidence(**plain["evidence"]),
                "features": tuple(FeatureShare(**one) for one in plain["features"]),
                "segments": tuple(SegmentShare(**one) for one in plain["segments"]),
                "most_unlike": tuple(RowRatio(**one) for one in plain["most_unlike"]),
            }
        )

    def sentences(self) -> tuple[str, ...]:
        """For people: the type and why, then what is most responsible."""
        told = [f"type of shift: {self.kind.value}: {self.reason}"]
        if self.features:
            told.append("most responsible features: " + ", ".join(f"{f.name} {f.share:.0%}" for f in self.features))
        if self.segments:
            parts = (f"{s.column} = {s.value or 'missing'} ({s.responsible:.0%})" for s in self.segments)
            told.append("most responsible segments: " + ", ".join(parts))
        if self.most_unlike:
            told.append("rows most unlike the held-out ones: " + ", ".join(row.id for row in self.most_unlike))
        return tuple(told)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        return {**plain, "kind": self.kind.value, **{name: list(plain[name]) for name in _LISTS}}


_LISTS = ("features", "segments", "most_unlike")


def largest_features(names: Sequence[str], shares: npt.NDArray[np.float64]) -> tuple[FeatureShare, ...]:
    """The features that contribute at least a hundredth, the largest first."""
    order = np.argsort(-shares, kind="stable")[:_MOST_NAMED]
    return tuple(FeatureShare(name=names[i], share=float(shares[i])) for i in order if shares[i] >= _LEAST)


def responsible_segments(
    values: Mapping[str, Sequence[str | None]], ratios: npt.NDArray[np.float64]
) -> tuple[SegmentShare, ...]:
    """Per column the value of each row, with the rows' density `ratios`, (n,): segments with more than their share.

    A row is responsible by the logarithm of its ratio, those that are no more common than before not at all.
    """
    blame = np.maximum(np.log(ratios), 0.0)
    total = float(blame.sum())
    if total == 0:
        return ()
    found: list[SegmentShare] = []
    for column, cells in values.items():
        names, codes = np.unique(["" if cell is None else cell for cell in cells], return_inverse=True)
        rows, parts = np.bincount(codes) / len(codes), np.bincount(codes, weights=blame) / total
        found += [
            SegmentShare(column=column, value=str(name), rows=float(n), responsible=float(part))
            for name, n, part in zip(names, rows, parts, strict=True)
            if part > n
        ]
    return tuple(sorted(found, key=lambda s: s.rows - s.responsible)[:_MOST_NAMED])

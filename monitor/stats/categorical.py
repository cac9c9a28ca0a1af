"""Summaries of one column of levels: the reference, frozen, and a profile against it, which merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.stats.merge_count import Counts

MAX_UNSEEN = 100  # levels unknown to the reference that a profile keeps by name


@dataclass(frozen=True, slots=True)
class CategoricalReference:
    """`counts` per level, in the order of `levels`."""

    levels: tuple[str, ...]
    counts: Counts
    missing: int

    @classmethod
    def of(cls, codes: npt.NDArray[np.integer], levels: Sequence[str]) -> CategoricalReference:
        """`codes` shape (n,) into `levels`, −1 for missing. Levels are kept in sorted order, those without rows not."""
        counts, missing = _count(codes, len(levels))
        held = sorted((level, int(count)) for level, count in zip(levels, counts, strict=True) if count)
        return cls(tuple(level for level, _ in held), np.array([c for _, c in held], dtype=np.int64), missing)

    @property
    def n(self) -> int:
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalProfile:
    """Counts per level of the reference; levels unknown to it by name, of which the first 100 in sorted order.

    The rest of them is `unseen_other`. Keeping the smallest names is what makes merging associative: a name among
    the smallest of a union is among the smallest of each part that holds it.
    """

    counts: Counts
    missing: int = 0
    unseen: Mapping[str, int] = field(default_factory=dict)
    unseen_other: int = 0

    @classmethod
    def empty(cls, ref: CategoricalReference) -> CategoricalProfile:
        return cls(counts=np.zeros(len(ref.levels), dtype=np.int64))

    @classmethod
    def of(cls, codes: npt.NDArray[np.integer], levels: Sequence[str], ref: CategoricalReference) -> CategoricalProfile:
        """`codes` shape (n,) into `levels` (distinct), −1 for missing."""
        seen, missing = _count(codes, len(levels))
        if tuple(levels) == ref.levels:
            return cls(counts=seen, missing=missing)
        place = {level: i for i, level in enumerate(ref.levels)}
        counts = np.zeros(len(ref.levels), dtype=np.int64)
        unseen: dict[str, int] = {}
        for level, count in zip(levels, seen.tolist(), strict=True):
            if (i := place.get(level)) is not None:
                counts[i] += count
            elif count:
                unseen[level] = count
        kept, other = _bounded(unseen)
        return cls(counts=counts, missing=missing, unseen=kept, unseen_other=other)

    def merge(self, other: CategoricalProfile) -> CategoricalProfile:
        """Of the rows of both; both against the same reference."""
        names = self.unseen.keys() | other.unseen.keys()
        unseen, dropped = _bounded({name: self.unseen.get(name, 0) + other.unseen.get(name, 0) for name in names})
        return CategoricalProfile(
            counts=self.counts + other.counts,
            missing=self.missing + other.missing,
            unseen=unseen,
            unseen_other=self.unseen_other + other.unseen_other + dropped,
        )

    @property
    def n_unseen(self) -> int:
        return sum(self.unseen.values()) + self.unseen_other

    @property
    def n(self) -> int:
        """Rows with a value, unseen levels included."""
        return int(self.counts.sum()) + self.n_unseen


def _count(codes: npt.NDArray[np.integer], levels: int) -> tuple[Counts, int]:
    with_missing = np.bincount(codes + 1, minlength=levels + 1)
    return with_missing[1:], int(with_missing[0])


def _bounded(unseen: Mapping[str, int]) -> tuple[dict[str, int], int]:
    names = sorted(unseen)
    return {name: unseen[name] for name in names[:MAX_UNSEEN]}, sum(unseen[name] for name in names[MAX_UNSEEN:])

"""Numbers about a profile against its reference. Never a verdict: thresholds live in `domain.detection`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.domain.columns import to_frame
from monitor.domain.measure_catalogue import CATEGORICAL, NUMERIC
from monitor.stats.categorical import CategoricalProfile, CategoricalReference
from monitor.stats.numeric import NumericProfile, NumericReference

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number about one column.

    `statistic` and `effect` are NaN and `p_value` None when they could not be taken (no rows, overflow) or do not
    exist. What `effect` is measured in is said by the function of this name in `monitor.stats`. `n_reference` and
    `n_current` count the rows that went in.
    """

    column: str
    measure: str
    statistic: float
    p_value: float | None
    effect: float
    n_reference: int
    n_current: int
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what is not finite becomes None, infinities too."""
        return {
            "column": self.column,
            "measure": self.measure,
            "statistic": _finite(self.statistic),
            "p_value": _finite(self.p_value),
            "effect": _finite(self.effect),
            "n_reference": self.n_reference,
            "n_current": self.n_current,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Measures:
    """All that was measured about one profile, column by column in the reference's order."""

    items: tuple[Measure, ...]

    def __iter__(self) -> Iterator[Measure]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def get(self, column: str, measure: str) -> Measure | None:
        return next((m for m in self.items if m.column == column and m.measure == measure), None)

    def frame(self) -> pd.DataFrame:
        """One row per column × measure; a p-value that does not exist is NaN."""
        names = ("column", "measure", "statistic", "p_value", "effect", "n_reference", "n_current", "detail")
        return to_frame({name: [getattr(m, name) for m in self.items] for name in names}, numbers=names[2:5])


def measure_column(
    name: str,
    ref: NumericReference | CategoricalReference,
    cur: NumericProfile | CategoricalProfile,
    wanted: Sequence[str],
) -> list[Measure]:
    """The wanted measures that exist for this kind of column, in the order wanted."""
    if isinstance(ref, NumericReference) and isinstance(cur, NumericProfile):
        results = [(m, NUMERIC[m](ref, cur)) for m in wanted if m in NUMERIC]
    elif isinstance(ref, CategoricalReference) and isinstance(cur, CategoricalProfile):
        results = [(m, CATEGORICAL[m](ref, cur)) for m in wanted if m in CATEGORICAL]
    else:
        raise TypeError(f"column {name!r}: profile and reference are of different kinds")
    n_ref, n_cur = ref.n, cur.n
    all_ref, all_cur = n_ref + ref.missing, n_cur + cur.missing
    return [
        Measure(
            column=name,
            measure=measure,
            statistic=result.statistic,
            p_value=result.p_value,
            effect=result.effect,
            n_reference=all_ref if measure == "missing" else n_ref,
            n_current=all_cur if measure == "missing" else n_cur,
            detail=result.detail,
        )
        for measure, result in results
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

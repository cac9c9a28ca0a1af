"""Numbers about a profile against its reference. Never a verdict: thresholds live in `domain.detection`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monitor.domain.columns import to_frame
from monitor.errors import ConfigError
from monitor.stats.bins import bin_counts, decile_edges
from monitor.stats.categorical import CategoricalProfile, CategoricalReference
from monitor.stats.chi2 import chi2
from monitor.stats.distances import jensen_shannon, linf, psi
from monitor.stats.ks import ks
from monitor.stats.location import location, spread
from monitor.stats.merge_count import Counts
from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.proportions import two_proportions
from monitor.stats.result import UNMEASURED, Result
from monitor.stats.wasserstein import wasserstein

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 10  # unseen levels that a detail names


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


def _psi(ref: NumericReference, cur: NumericProfile) -> Result:
    return psi(*_binned(ref, cur))


def _js(ref: NumericReference, cur: NumericProfile) -> Result:
    return jensen_shannon(*_binned(ref, cur))


def _binned(ref: NumericReference, cur: NumericProfile) -> tuple[Counts, Counts]:
    edges = decile_edges(ref.ecdf)
    return bin_counts(edges, ref.ecdf.upto, ref.n), bin_counts(edges, cur.upto, cur.n)


def _with_unseen(ref: CategoricalReference, cur: CategoricalProfile) -> tuple[Counts, Counts]:
    """Counts per level, all levels that the reference does not know as one more."""
    return np.append(ref.counts, 0), np.append(cur.counts, cur.n_unseen)


def unseen(ref: CategoricalReference, cur: CategoricalProfile) -> Result:
    """Share of the current values whose level the reference never held; the detail names the most frequent ones."""
    if cur.n == 0:
        return UNMEASURED
    share = cur.n_unseen / cur.n
    by_count = sorted(cur.unseen.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{level!r} ×{count}" for level, count in by_count[:_NAMED])
    more = len(by_count) - _NAMED + (1 if cur.unseen_other else 0)
    return Result(share, None, share, named + (f" and {more} more" if more > 0 else ""))


def missing(ref: NumericReference | CategoricalReference, cur: NumericProfile | CategoricalProfile) -> Result:
    """Change of the share of missing values: see `two_proportions`."""
    return two_proportions(ref.missing, ref.n + ref.missing, cur.missing, cur.n + cur.missing)


NUMERIC: Mapping[str, Callable[[NumericReference, NumericProfile], Result]] = {
    "ks": lambda ref, cur: ks(ref.ecdf, cur.below, cur.upto, cur.n),
    "psi": _psi,
    "js": _js,
    "wasserstein": wasserstein,
    "location": lambda ref, cur: location(ref.ecdf, cur.below, cur.upto, cur.n),
    "spread": lambda ref, cur: spread(ref.ecdf, cur.below, cur.upto, cur.n),
    "missing": missing,
}
CATEGORICAL: Mapping[str, Callable[[CategoricalReference, CategoricalProfile], Result]] = {
    "chi2": lambda ref, cur: chi2(*_with_unseen(ref, cur)),
    "psi": lambda ref, cur: psi(*_with_unseen(ref, cur)),
    "js": lambda ref, cur: jensen_shannon(*_with_unseen(ref, cur)),
    "linf": lambda ref, cur: linf(*_with_unseen(ref, cur)),
    "missing": missing,
    "unseen": unseen,
}
DEFAULT = ("ks", "chi2", "psi", "js", "linf", "wasserstein", "location", "spread", "missing", "unseen")


def check_names(names: Sequence[str]) -> None:
    """Raises ConfigError for a measure that does not exist."""
    known = {**NUMERIC, **CATEGORICAL}
    for name in names:
        if name not in known:
            raise ConfigError(f"measure {name!r} does not exist; known are {', '.join(known)}")


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

"""The measures there are, by name: for a numeric column and for one of levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from monitor.domain.private import WITHHELD, is_veiled
from monitor.errors import ConfigError
from monitor.stats.anderson_darling import anderson_darling
from monitor.stats.bins import bin_counts
from monitor.stats.categorical import CategoricalProfile, CategoricalReference
from monitor.stats.chi2 import chi2, cramers_v
from monitor.stats.cramer_von_mises import cramer_von_mises
from monitor.stats.distances import jensen_shannon, linf, psi
from monitor.stats.divergences import hellinger, kullback_leibler, total_variation
from monitor.stats.ecdf import Ecdf
from monitor.stats.g_test import g_test
from monitor.stats.ks import ks
from monitor.stats.location import location, spread
from monitor.stats.merge_count import Counts
from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.proportions import fisher, two_proportions
from monitor.stats.quantiles import quantile_shift
from monitor.stats.result import UNMEASURED, Result
from monitor.stats.wasserstein import wasserstein
from monitor.stats.welch import sd_ratio, welch

OfNumeric = Callable[[NumericReference, NumericProfile], Result]
OfCategorical = Callable[[CategoricalReference, CategoricalProfile], Result]

_NAMED = 10  # unseen levels that a detail names
_TWO = 2


def _of_counts_at_points(measure: Callable[[Ecdf, Counts, Counts, int], Result]) -> OfNumeric:
    return lambda ref, cur: measure(ref.ecdf, cur.below, cur.upto, cur.n)


def _of_deciles(measure: Callable[[Counts, Counts], Result]) -> OfNumeric:
    """On ten bins of equal share in the reference, fewer where values repeat."""

    def measured(ref: NumericReference, cur: NumericProfile) -> Result:
        return measure(ref.in_deciles, bin_counts(ref.deciles, cur.upto, cur.n))

    return measured


def _of_levels(measure: Callable[[Counts, Counts], Result]) -> OfCategorical:
    """On counts per level, all levels that the reference does not know as one more."""
    return lambda ref, cur: measure(np.append(ref.counts, 0), np.append(cur.counts, cur.n_unseen))


def _fisher(ref: CategoricalReference, cur: CategoricalProfile) -> Result:
    """For columns of two levels, unseen ones included; not measured otherwise. The effect is of the second level."""
    before, now = np.append(ref.counts, 0), np.append(cur.counts, cur.n_unseen)
    held = np.flatnonzero(before + now)
    if held.size != _TWO:
        return UNMEASURED
    second = int(held[1])
    return fisher(int(before[second]), ref.n, int(now[second]), cur.n)


def unseen(ref: CategoricalReference, cur: CategoricalProfile) -> Result:
    """Share of the current values whose level the reference never held; the detail names the most frequent ones."""
    if cur.n == 0:
        return UNMEASURED
    share = cur.n_unseen / cur.n
    if any(map(is_veiled, cur.unseen)):
        return Result(share, None, share, WITHHELD)
    by_count = sorted(cur.unseen.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{level!r} ×{count}" for level, count in by_count[:_NAMED])
    more = len(by_count) - _NAMED + (1 if cur.unseen_other else 0)
    return Result(share, None, share, named + (f" and {more} more" if more > 0 else ""))


def missing(ref: NumericReference | CategoricalReference, cur: NumericProfile | CategoricalProfile) -> Result:
    """Change of the share of missing values: see `two_proportions`."""
    return two_proportions(ref.missing, ref.n + ref.missing, cur.missing, cur.n + cur.missing)


NUMERIC: Mapping[str, OfNumeric] = {
    "ks": _of_counts_at_points(ks),
    "psi": _of_deciles(psi),
    "js": _of_deciles(jensen_shannon),
    "wasserstein": wasserstein,
    "location": _of_counts_at_points(location),
    "spread": _of_counts_at_points(spread),
    "missing": missing,
    "cramer_von_mises": _of_counts_at_points(cramer_von_mises),
    "anderson_darling": _of_counts_at_points(anderson_darling),
    "kl": _of_deciles(kullback_leibler),
    "hellinger": _of_deciles(hellinger),
    "total_variation": _of_deciles(total_variation),
    "mean": lambda ref, cur: welch(ref.finite, cur.moments),
    "sd": lambda ref, cur: sd_ratio(ref.finite, cur.moments),
    "quantiles": quantile_shift,
}
CATEGORICAL: Mapping[str, OfCategorical] = {
    "chi2": _of_levels(chi2),
    "psi": _of_levels(psi),
    "js": _of_levels(jensen_shannon),
    "linf": _of_levels(linf),
    "missing": missing,
    "unseen": unseen,
    "g": _of_levels(g_test),
    "fisher": _fisher,
    "cramers_v": _of_levels(cramers_v),
    "kl": _of_levels(kullback_leibler),
    "hellinger": _of_levels(hellinger),
    "total_variation": _of_levels(total_variation),
}
DEFAULT = ("ks", "chi2", "psi", "js", "linf", "wasserstein", "location", "spread", "missing", "unseen")


def check_names(names: Sequence[str]) -> None:
    """Raises ConfigError for a measure that does not exist."""
    known = {**NUMERIC, **CATEGORICAL}
    for name in names:
        if name not in known:
            raise ConfigError(f"measure {name!r} does not exist; known are {', '.join(known)}")

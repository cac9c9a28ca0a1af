"""Black-box shift detection: the model's own scores as the reduction of its inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.stats.ks import ks
from monitor.stats.multiplicity import holm
from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.result import UNMEASURED, Result

Scores = npt.NDArray[np.float64]

_TWO = 2
_ROUNDING = 1e-6  # of a sum of probabilities in single precision


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """`result` over all dimensions; `dimensions` are the Kolmogorov–Smirnov tests one by one, `adjusted` (k,) their
    p-values after Holm, NaN where a dimension was not tested."""

    result: Result
    dimensions: tuple[Result, ...]
    adjusted: npt.NDArray[np.float64]


def score_shift(ref: Scores, cur: Scores) -> ScoreShift:
    """Kolmogorov–Smirnov per dimension of the score vectors `ref` (n, k) and `cur` (m, k), Holm over them [1]_.

    Statistic: the largest distance, and effect: the same with its sign. The p-value is the smallest adjusted one,
    which is Bonferroni's. Rows with NaN count as missing in the dimension where it is. Two dimensions that add up to
    1 in every row, as a binary classifier's, say the same twice: the first is then not tested.

    Not measured without dimensions, or without rows in either sample.

    References
    ----------
    .. [1] Rabanser, Günnemann, Lipton (2019), NeurIPS, arXiv 1810.11953, BBSDs; Lipton, Wang, Smola (2018), ICML.
    """
    tested = range(1, _TWO) if _complementary(ref) and _complementary(cur) else range(ref.shape[1])
    dimensions = [UNMEASURED] * ref.shape[1]
    for k in tested:
        reference = NumericReference.of(np.ascontiguousarray(ref[:, k]))
        profile = NumericProfile.of(np.ascontiguousarray(cur[:, k]), reference)
        dimensions[k] = ks(reference.ecdf, profile.below, profile.upto, profile.n)
    adjusted = holm([np.nan if d.p_value is None else d.p_value for d in dimensions])
    if np.isnan(adjusted).all():
        return ScoreShift(UNMEASURED, tuple(dimensions), adjusted)
    first = int(np.nanargmax([d.statistic for d in dimensions]))
    result = Result(dimensions[first].statistic, float(np.nanmin(adjusted)), dimensions[first].effect, str(first))
    return ScoreShift(result, tuple(dimensions), adjusted)


def _complementary(scores: Scores) -> bool:
    return scores.shape[1] == _TWO and bool((np.abs(scores.sum(axis=1) - 1.0) < _ROUNDING).all())

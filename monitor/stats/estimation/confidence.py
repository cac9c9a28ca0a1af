"""Accuracy without labels by how sure the model is: the share of rows above a threshold that is learnt from labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.stats.losses import correct
from monitor.stats.performance import Estimate

Array = npt.NDArray[np.float64]
Sureness = Literal["entropy", "confidence"]

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, eq=False)
class Threshold:
    """Average thresholded confidence [1]_: as many held-out rows lie above the threshold as are predicted rightly.

    A row's sureness is the negative entropy of its scores, or the largest of them. `sure` (n,): of the held-out rows,
    in ascending order; `accuracy` theirs, and `spread` the standard deviation of [above] − [right] on them. Of rows
    right at the threshold a part counts, so that the share is exact where many rows are equally sure. For two classes
    both kinds of sureness order the rows alike.

    References
    ----------
    .. [1] Garg, Balakrishnan, Lipton, Neyshabur, Sedghi (2022), ICLR, arXiv 2201.04234.
    """

    by: Sureness
    sure: Array
    accuracy: float
    spread: float

    @classmethod
    def fit(cls, scores: Array, target: npt.NDArray[np.integer], by: Sureness = "entropy") -> Threshold:
        """`scores` (n, k) of rows the model was not fitted on, `target` (n,) their classes, n ≥ 1, all known."""
        sure, right = sureness(scores, by), correct(scores, target)
        ordered, accuracy = np.sort(sure), float(right.mean())
        spread = float((_above(ordered, accuracy, sure) - right).std())
        return cls(by, ordered, accuracy, spread)

    def estimate(self, scores: Array) -> Estimate:
        """Accuracy of rows with these scores, (m, k), and the 95% interval of what will be realised; NaN without rows.

        Right where rows that are equally sure are as often right on average as on the held-out rows; the paper proves
        that nothing can be without such an assumption. The interval has the labels still to come and the error of the
        threshold, that of a quantile [1]_.

        References
        ----------
        .. [1] Woodruff (1952), Journal of the American Statistical Association 47(260), 635-646.
        """
        m = len(scores)
        if m == 0:
            return Estimate(math.nan, math.nan, math.nan, math.nan, 0)
        sure = sureness(scores, self.by)
        reach = _Z95 * self.spread / math.sqrt(len(self.sure))
        low, value, high = (
            float(_above(self.sure, min(max(self.accuracy + by, 0.0), 1.0), sure).mean()) for by in (-reach, 0.0, reach)
        )
        labels = _Z95 * self.spread / math.sqrt(m)
        down, up = math.hypot(value - low, labels), math.hypot(high - value, labels)
        return Estimate(value, max(value - down, 0.0), min(value + up, 1.0), (down + up) / (2 * _Z95), m)


def sureness(scores: Array, by: Sureness) -> Array:
    """Of each row, (n,): the larger, the surer."""
    sure: Array = scores.max(axis=1) if by == "confidence" else special.xlogy(scores, scores).sum(axis=1)
    return np.round(sure, 9)  # sums in another order are not another sureness


def _above(ordered: Array, share: float, sure: Array) -> Array:
    """1 above the threshold that has this `share` of `ordered` above it, a part at it, else 0; as `sure`."""
    n = len(ordered)
    at = ordered[min(max(math.ceil(n * (1.0 - share)) - 1, 0), n - 1)]
    first, last = np.searchsorted(ordered, at, "left"), np.searchsorted(ordered, at, "right")
    part = (share * n - (n - last)) / (last - first)
    found: Array = np.where(sure > at, 1.0, np.where(sure == at, part, 0.0))
    return found

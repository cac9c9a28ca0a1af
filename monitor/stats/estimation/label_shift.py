"""Probabilities of the classes when their shares alone have moved, and whether the columns agree that they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.stats.calibration import log_scores, slopes
from monitor.stats.label_shift_em import Influence, LabelShift

Array = npt.NDArray[np.float64]

_FEWEST = 30  # rows in which a column must not be 0: counts of fewer are not normal


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """Calibrated scores corrected for `share` (k,), which `influence` says how each row has moved."""

    shift: LabelShift
    share: Array
    influence: Influence

    def apply(self, scores: Array) -> Array:
        return self.shift.correct(scores, self.share)

    def variance(self, scores: Array, slope: Array) -> float:
        """Of Σ slope·apply(scores), for the shares, the calibration and the class shares of the held-out rows.

        All three go through the logarithms that are summed up in a row's posterior, and what one of them errs the
        shares partly make good: that is why the influences are added before they are squared.
        """
        posterior, q, prior = self.apply(scores), self.share, self.shift.prior
        moved = posterior * (slope - (posterior * slope).sum(axis=1, keepdims=True))
        by_log = moved.sum(axis=0)  # of the logarithm of each class's weight
        by_share = np.divide(by_log, q, out=np.zeros_like(q), where=q > 0)
        by_calibration = slopes(moved, log_scores(scores)).sum(axis=0)
        held_out = self.influence.of_held_out @ by_share
        held_out += self.influence.on_calibration @ by_calibration - self.influence.on_prior @ (by_log / prior)
        batch = self.influence.of_batch @ by_share
        return float(np.square(held_out).sum()) / len(held_out) ** 2 + float(np.square(batch).sum()) / len(batch) ** 2


def columns_fit(shift: LabelShift, share: Array, influence: Influence, held_out: Array, batch: Array) -> float | None:
    """P-value that the columns have the means that these shares predict, with the means of each class as held out.

    `held_out` (n, d), rows as in `shift`, `batch` (m, d): see `domain.held_out`. Each column and its square is tested
    by itself, with the sampling errors of both samples, the shares and the calibration, and the smallest p-value
    multiplied by their number. Columns that are hardly ever other than 0 are left out; None when all are.
    """
    onehot = np.eye(len(share))[shift.target]
    count = onehot.sum(axis=0)[:, None]
    weight = (share / shift.prior)[shift.target][:, None]
    smallest, tested = 1.0, 0
    for power in (1, 2):
        before, now = held_out**power, batch**power
        by_class = onehot.T @ before / count
        gap = now.mean(axis=0) - share @ by_class
        of_batch = now - now.mean(axis=0) - influence.of_batch @ by_class
        of_held_out = -weight * (before - by_class[shift.target]) - influence.of_held_out @ by_class
        variance = (
            np.square(of_batch).sum(axis=0) / len(now) ** 2 + np.square(of_held_out).sum(axis=0) / len(before) ** 2
        )
        use = (np.count_nonzero(now, axis=0) + np.count_nonzero(before, axis=0) >= _FEWEST) & (variance > 0)
        if use.any():
            z = np.abs(gap[use]) / np.sqrt(variance[use])
            smallest, tested = min(smallest, 2.0 * float(special.ndtr(-z.max()))), tested + int(use.sum())
    return min(smallest * tested, 1.0) if tested else None

"""Are probabilities still as often right as they were made to be, now that the labels are there?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from monitor.stats.calibration import curvature, log_scores, slopes
from monitor.stats.label_shift_em import LabelShift
from monitor.stats.result import UNMEASURED, Result

Array = npt.NDArray[np.float64]

_FEWEST = 30  # rows: with fewer the statistic is not yet χ²


def calibration_drift(shift: LabelShift, scores: Array, target: npt.NDArray[np.integer]) -> Result:
    """Score test [1]_ that the calibration in `shift` is right for labelled rows: `scores` (m, k), `target` (m,).

    Against temperature and biases of any other value. The sampling error of the held-out rows that the calibration was
    fitted on counts. Effect: the largest difference between the mean probability of a class and its share; detail: its
    place. Rows of an unknown class (−1) are left out. Fewer than 30 rows on either side: not measured.

    References
    ----------
    .. [1] Rao (1948), Mathematical Proceedings of the Cambridge Philosophical Society 44(1), 50-57.
    """
    known = target >= 0
    scores, target = scores[known], target[known]
    if min(len(target), len(shift.target)) < _FEWEST:
        return UNMEASURED
    logs, h = log_scores(scores), shift.calibration.apply(scores)
    miss = h - np.eye(scores.shape[1])[target]
    pull, here = slopes(miss, logs).sum(axis=0), curvature(h, logs)
    of_parameters = np.linalg.pinv(curvature(shift.calibrated, shift.logs), hermitian=True)
    covariance = here + here @ of_parameters @ here
    statistic = float(pull @ np.linalg.pinv(covariance, hermitian=True) @ pull)
    apart = miss.mean(axis=0)
    worst = int(np.argmax(np.abs(apart)))
    p_value = float(special.chdtrc(np.linalg.matrix_rank(covariance, hermitian=True), statistic))
    return Result(statistic, p_value, float(apart[worst]), str(worst))

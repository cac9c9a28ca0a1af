"""Do the current rows still lie on the principal components of the reference?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from monitor.stats.location import location
from monitor.stats.numeric import NumericProfile, NumericReference
from monitor.stats.pca import Matrix, Pca
from monitor.stats.result import UNMEASURED, Result

EXPLAINED = 0.65  # share of the reference's variance that the components kept explain
_MIN_ROWS = 4  # reference rows: half for the components, half for the distribution of the error


def reconstruction_shift(ref: Matrix, cur: Matrix, explained: float = EXPLAINED) -> Result:
    """Reconstruction error of `cur` (m, d) against that of `ref` (n, d), both finite and scaled [1]_.

    Components are fitted on every second reference row, as few as explain the share `explained` of the variance; the
    other rows give the distribution of the error that is to be expected. Statistic: mean error of the current rows
    over that of the reference rows; effect and p-value: `location` of the errors, positive when rows are further off.
    It sees a change of the dependence between columns that leaves every column as it was, and a shift across the
    components, but none along them.

    Not measured with fewer than 4 reference rows or no current row. Reference rows without any error: the statistic
    is 1 when the current ones have none either, infinite otherwise.

    References
    ----------
    .. [1] Jackson, Mudholkar (1979), Technometrics 21(3), 341-349: residuals of principal components as a control.
    """
    if ref.shape[0] < _MIN_ROWS or cur.shape[0] == 0 or ref.shape[1] == 0:
        return UNMEASURED
    pca = _leading(Pca.of(ref[::2], components=ref.shape[1]), ref[::2], explained)
    expected, found = (pca.reduce(rows)["residual"] for rows in (ref[1::2], cur))
    reference = NumericReference.of(expected)
    profile = NumericProfile.of(found, reference)
    moved = location(reference.ecdf, profile.below, profile.upto, profile.n)
    detail = f"{pca.components.shape[0]} of {ref.shape[1]} components"
    return Result(_ratio(float(found.mean()), float(expected.mean())), moved.p_value, moved.effect, detail)


def _leading(pca: Pca, rows: Matrix, explained: float) -> Pca:
    """The first components that explain this share of the variance of `rows`: fewer than there are columns."""
    variances: npt.NDArray[np.float64] = np.square((rows - pca.center) @ pca.components.T, dtype=np.float64).sum(axis=0)
    total = float(np.square(rows - pca.center, dtype=np.float64).sum())
    needed = int(np.searchsorted(np.cumsum(variances), explained * total)) + 1
    kept = min(needed, variances.size, rows.shape[1] - 1)
    return Pca(pca.center, pca.components[:kept])


def _ratio(found: float, expected: float) -> float:
    if expected > 0:
        return found / expected
    return np.inf if found > 0 else 1.0

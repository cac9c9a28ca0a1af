"""Logistic regression with a ridge penalty, as a classifier of reference against current rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Rows = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_RIDGE = 1.0  # on the sum of the losses: as much as one row says about a column of unit variance
_MAX_STEPS = 200
_TOLERANCE = 1e-6  # of the gradient of the mean loss


@dataclass(frozen=True, slots=True)
class Logistic:
    """`coefficients` (d,) and `intercept` of the log-odds."""

    coefficients: npt.NDArray[np.float64]
    intercept: float

    @classmethod
    def fit(cls, rows: Rows, positive: Flags, ridge: float = _RIDGE) -> Logistic:
        """Minimise Σ log-loss + ridge/2·|coefficients|²; `rows` (n, d) finite and scaled, `positive` (n,).

        The intercept is not penalised. `ridge` > 0 keeps the coefficients finite when the rows can be separated.
        """
        from scipy import optimize  # it takes half a second to import

        signs = np.where(positive, 1.0, -1.0)
        weight = 1.0 / rows.shape[0]

        def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            beta = point[:-1]
            margins = signs * (rows @ beta + point[-1])
            pulls = -signs * special.expit(-margins) * weight
            value = -float(special.log_expit(margins).sum()) * weight + 0.5 * ridge * weight * float(beta @ beta)
            return value, np.append(pulls @ rows + ridge * weight * beta, pulls.sum())

        start = np.append(np.zeros(rows.shape[1]), _log_odds(positive))
        options = {"maxiter": _MAX_STEPS, "gtol": _TOLERANCE, "ftol": 0.0}
        best = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
        return cls(best[:-1], float(best[-1]))

    def log_odds(self, rows: Rows) -> npt.NDArray[np.float64]:
        scores: npt.NDArray[np.float64] = rows @ self.coefficients + self.intercept
        return scores


def _log_odds(positive: Flags) -> float:
    return float(special.logit((positive.sum() + 0.5) / (positive.size + 1)))

"""Class shares of a batch without its labels by solving linear equations, as alternatives to maximum likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from monitor.stats.label_shift import WORST_CONDITION, on_simplex
from monitor.stats.losses import predicted_classes

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]
Method = Literal["bbse", "bbse_soft", "rlls"]

_FAILING = 0.05  # chance with which the bound behind the regularisation of RLLS may fail
_SCALE = 0.01  # the part of that bound that its authors use
_LOOSE, _TIGHT = -12.0, 4.0  # powers of ten between which the ridge is looked for


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """`share` (k,) on the simplex; `raw` (k,) the plain solution, with the influence of each row on it.

    `of_batch` (m, k) and `of_held_out` (n, k), each with mean 0.
    """

    share: Array
    raw: Array
    of_batch: Array
    of_held_out: Array


def solve(method: Method, held_out: Array, target: Codes, batch: Array) -> Solved:
    """Shares q with A·q = μ; column j of A is the mean of φ over the held-out rows of class j, μ that over the batch.

    `held_out` (n, k) and `batch` (m, k) are scores, `target` (n,) known classes, each of them there. `bbse`: φ is the
    most probable class as 0 and 1, `bbse_soft`: φ are the scores [1]_. Negative shares are set to 0 and the rest
    rescaled. `rlls`: as `bbse`, with weights drawn to 1 (`regularised`) [2]_; `raw` and the influences are those of
    `bbse`, as what is regularised is biased and its spread says nothing about how far it is from the truth.

    Raises LinAlgError when A is singular, as when a class is never predicted.

    References
    ----------
    .. [1] Lipton, Wang, Smola (2018), ICML, arXiv 1802.03916, section 3.
    .. [2] Azizzadenesheli, Liu, Yang, Anandkumar (2019), ICLR, arXiv 1903.09734.
    """
    if method != "bbse_soft":
        held_out, batch = (np.eye(held_out.shape[1])[predicted_classes(each)] for each in (held_out, batch))
    onehot = np.eye(held_out.shape[1])[target]
    prior = onehot.mean(axis=0)
    by_class = onehot.T @ held_out / onehot.sum(axis=0)[:, None]  # row j is column j of A
    if not np.linalg.cond(by_class) < WORST_CONDITION:
        raise np.linalg.LinAlgError("singular")
    inverse = np.linalg.inv(by_class)
    mean = batch.mean(axis=0)
    raw = mean @ inverse
    share = on_simplex(raw)
    if method == "rlls":
        weight = regularised(by_class.T * prior, mean, scale=_SCALE * bound(len(prior), len(target)))
        share = on_simplex(prior * weight)
    return Solved(
        share=share,
        raw=raw,
        of_batch=(batch - mean) @ inverse,
        of_held_out=-(raw / prior)[target][:, None] * ((held_out - by_class[target]) @ inverse),
    )


def bound(classes: int, rows: int) -> float:
    """How far the joint shares of predictions and labels may be off for `rows` held-out rows, with probability 0.95.

    Three times 2·log(2k/δ)/(3n) + √(2·log(2k/δ)/n): the paper's regularisation (theorem 1, and the authors' code).
    """
    log = math.log(2.0 * classes / _FAILING)
    return 3.0 * (2.0 * log / (3.0 * rows) + math.sqrt(2.0 * log / rows))


def regularised(joint: Array, mean: Array, scale: float) -> Array:
    """Weights w = 1 + θ ≥ 0, (k,), that minimise ‖C·θ − b‖ + scale·‖θ‖, b = μ − C·1.

    `joint` (k, k) is C, P(predicted i, label j), `mean` (k,) is μ. Neither norm is squared: with a scale below the
    smallest singular value of C the weights solve C·w = μ, if none of them is negative; with one above the largest
    they are all 1. Each best trade of one norm against the other is that of a ridge, of which the best is looked for.
    """
    from scipy import optimize  # it takes half a second to import

    one = np.ones(len(mean))

    def ridge(power: float) -> Array:
        root = math.sqrt(10.0**power)
        rows = np.vstack([joint, root * np.eye(len(mean))])
        found: Array = optimize.nnls(rows, np.concatenate([mean, root * one]))[0]
        return found

    def cost(weight: Array) -> float:
        return float(np.linalg.norm(joint @ weight - mean) + scale * np.linalg.norm(weight - one))

    best = optimize.minimize_scalar(
        lambda power: cost(ridge(power)), bounds=(_LOOSE, _TIGHT), method="bounded", options={"xatol": 1e-4}
    )
    return min(optimize.nnls(joint, mean)[0], ridge(float(best.x)), one, key=cost)

"""Self-starting recursive least squares, one regression per stream, all streams in one step.

Recursive residuals of a Gaussian linear model are independent with one variance [1]_, so the studentised residual has
Student's distribution whatever the (unknown) dispersion is, and however short the history. Shapes: S streams, p
regressors; y in the stream's own unit. The noise of an observation has variance σ²·ratio with a known ratio.

References
----------
.. [1] Brown, Durbin, Evans (1975), J. R. Statist. Soc. B 37(2), 149-192, lemma 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_FEWEST_DOF = 4.0  # residuals that the scale must rest on before a stream is judged
_WIDEST_LEVERAGE = 50.0  # beyond it the prediction rests on the prior: the observation teaches, but is not judged
_WINSOR_Z = 3.0  # an innovation teaches as if it were at most this many normal standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """What S regressions have learnt; σ² is unknown, so the covariance of `theta`, root·rootᵀ, is in units of it.

    Its square root is kept instead of itself: then no rounding makes a variance negative [1]_.

    References
    ----------
    .. [1] Potter's update; Kaminski, Bryson, Schmidt (1971), IEEE Trans. Automatic Control 16(6), 727-736, equation 27.
    """

    theta: Array  # (S, p)
    root: Array  # (S, p, p)
    squares: Array  # (S,) sum of squared standardised recursive residuals
    dof: Array  # (S,) how many there are
    clipped: Array  # (S,) winsorised errors running, with their sign

    @classmethod
    def start(cls, prior: Array) -> Regression:
        """Nothing learnt: coefficients N(0, prior·σ²), `prior` of shape (S, p); large means diffuse."""
        streams, p = prior.shape
        root = np.zeros((streams, p, p))
        root[:, np.arange(p), np.arange(p)] = np.sqrt(prior)
        return cls(
            theta=np.zeros((streams, p)),
            root=root,
            squares=np.zeros(streams),
            dof=np.zeros(streams),
            clipped=np.zeros(streams),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """One batch against the predictions made before it. Streams outside `judged` carry no information."""

    predicted: Array  # (S,)
    error: Array  # (S,) observed − predicted
    variance_ratio: Array  # (S,) of the error, in units of σ²: ratio + leverage
    root_x: Array  # (S, p) rootᵀ·x, kept for `learn`
    scale: Array  # (S,) s, the estimate of σ; NaN before there is one
    dof: Array  # (S,)
    z: Array  # (S,) Φ⁻¹(F_dof(T)), unclipped; 0 where not judged
    seen: Mask  # (S,) the batch has a value
    judged: Mask  # (S,) and the prediction and the scale rest on data

    @property
    def standard(self) -> Array:
        """w = error / √variance_ratio, shape (S,): variance σ²."""
        return self.error / np.sqrt(self.variance_ratio)


def predict(model: Regression, x: Array, y: Array, ratio: Array, floor: float) -> Residuals:
    """Compare y, shape (S,), NaN where the batch has no value, with the prediction from x, shape (S, p).

    `floor` bounds the estimate of σ² from below: any change of a stream that never moved would be infinitely rare.
    """
    seen = np.isfinite(y) & np.isfinite(x).all(axis=1)
    x = np.where(seen[:, None], x, 0.0)
    root_x = np.einsum("spq,sp->sq", model.root, x)
    leverage = np.square(root_x).sum(axis=1)
    predicted = np.einsum("sp,sp->s", x, model.theta)
    error = np.where(seen, y - predicted, 0.0)
    total = ratio + leverage
    started = model.dof >= _FEWEST_DOF
    variance = np.maximum(model.squares / np.where(started, model.dof, 1.0), floor)
    scale = np.where(started, np.sqrt(variance), np.nan)
    judged = seen & started & (leverage <= _WIDEST_LEVERAGE * ratio)
    t = np.where(judged, error / np.sqrt(total) / np.where(started, scale, 1.0), 0.0)
    return Residuals(
        predicted=predicted,
        error=error,
        variance_ratio=total,
        root_x=root_x,
        scale=scale,
        dof=model.dof,
        z=normal_score(t, model.dof),
        seen=seen,
        judged=judged,
    )


def learn(model: Regression, seen: Residuals, ratio: Array, longest_incident: int) -> tuple[Regression, Array]:
    """Return what is known after the batch, and the values as they were learnt, shape (S,), NaN where there was none.

    An innovation beyond three normal standard deviations teaches the coefficients nothing and goes into the lags
    winsorised, so that extraordinary days do not bend the predictions of the days after. More than `longest_incident`
    in a row in the same direction are a new level, which is learnt as it is. For σ all are winsorised at 3σ: a new
    level is no dispersion. An observation whose prediction rests on nothing but the prior says
    nothing about σ.
    """
    limit = _winsor_limit(seen.dof) * np.where(seen.judged, seen.scale, 1.0) * np.sqrt(seen.variance_ratio)
    extreme = np.where(seen.judged & (np.abs(seen.error) > limit), np.sign(seen.error), 0.0)
    running = np.where(extreme * model.clipped > 0, model.clipped + extreme, extreme)
    bounded = seen.judged & (np.abs(running) <= longest_incident)
    error = np.where(bounded, np.clip(seen.error, -limit, limit), seen.error)
    spread = _WINSOR_Z * np.where(seen.judged, seen.scale, 1.0) * np.sqrt(seen.variance_ratio)
    ordinary = np.where(seen.judged, np.clip(seen.error, -spread, spread), seen.error)
    total = np.where(seen.seen & ~(bounded & (extreme != 0)), seen.variance_ratio, np.inf)
    gain = np.einsum("spq,sq->sp", model.root, seen.root_x)
    shrink = seen.root_x / (total + np.sqrt(ratio * total))[:, None]
    counts = seen.seen & (seen.variance_ratio - ratio <= _WIDEST_LEVERAGE * ratio)
    squares = np.where(counts, np.square(ordinary) / seen.variance_ratio, 0.0)
    root = gain[:, :, None] * shrink[:, None, :]
    np.subtract(model.root, root, out=root)  # megabytes where there are many regressors
    after = Regression(
        theta=model.theta + gain * (error / total)[:, None],
        root=root,
        squares=model.squares + squares,
        dof=model.dof + counts,
        clipped=np.where(seen.seen, running, model.clipped),
    )
    return after, np.where(seen.seen, seen.predicted + error, np.nan)


def reopen(model: Regression, streams: Mask, variance: float) -> Regression:
    """Forget the level (regressor 0) of some streams: their next value sets it anew, the rest stays known."""
    if not streams.any():
        return model
    covariance = model.root[streams] @ model.root[streams].transpose(0, 2, 1)
    covariance[:, 0, 0] += variance
    value, vector = np.linalg.eigh(covariance)
    root = model.root.copy()
    root[streams] = vector * np.sqrt(np.maximum(value, 0.0))[:, None, :]
    return replace(model, root=root)


def cap_dof(model: Regression, most: float) -> Regression:
    """Keep the scale but trust it as if it rested on `most` residuals at the most."""
    share = np.minimum(1.0, most / np.maximum(model.dof, 1.0))
    return replace(model, squares=model.squares * share, dof=model.dof * share)


def normal_score(t: Array, dof: Array) -> Array:
    """Φ⁻¹(F_dof(t)), through the lower tail so that both tails keep their precision; finite up to |z| = 37."""
    tail = special.stdtr(np.maximum(dof, 1.0), -np.abs(t))
    return np.asarray(np.copysign(-special.ndtri(np.maximum(tail, 1e-300)), t))


def _winsor_limit(dof: Array) -> Array:
    levels, where = np.unique(np.maximum(dof, 1.0), return_inverse=True)
    return np.asarray(special.stdtrit(levels, special.ndtr(_WINSOR_Z))[where])

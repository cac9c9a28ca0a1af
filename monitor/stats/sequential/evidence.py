"""Evidence of a change that adds up over batches and streams: a mixture of Shiryaev–Roberts e-detectors.

Each stream has K components, every one betting on one size and sign of a shift:
R_t = (1 + R_{t−1})·L_t with E[L_t | past] ≤ 1 when nothing has changed. Their mean over components and streams is
again an e-detector whatever the dependence between streams, so stopping at mean ≥ A gives E[run length] ≥ A and
P(stop within T batches) ≤ T/A [1]_. The change point is the start of the restart that explains the most (CUSUM).

References
----------
.. [1] Shin, Ramdas, Rinaldo (2022), E-detectors, arXiv 2203.03532, theorems 2.4 and 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.stats.sequential.regression import Array, Mask

_SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)  # shifts bet on, in standard deviations of a batch
_FALLBACK_SHARE = 0.8  # of the total evidence, that the named streams must hold when e-BH names none
_LARGEST_LOG = 600.0  # exp of it is finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of shape (S, K). `error` and `weight` sum, since `since`, what the effect is estimated from."""

    detector: Array  # R
    cusum: Array  # log of the best restart's likelihood ratio, never below 0
    since: Array  # time of the first batch of the best restart
    error: Array  # Σ error/variance_ratio since then
    weight: Array  # Σ 1/variance_ratio since then

    @classmethod
    def start(cls, streams: int, components: int) -> Evidence:
        shape = (streams, components)
        return cls(
            detector=np.zeros(shape),
            cusum=np.zeros(shape),
            since=np.zeros(shape),
            error=np.zeros(shape),
            weight=np.zeros(shape),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Per stream, shape (S,): when its best restart began and the mean error since, with its standard error over σ."""

    since: Array
    shift: Array
    standard_error: Array  # in units of σ


def bets(z: Array, variance: Array, *, two_sided: bool) -> Array:
    """Log likelihood ratios λz − vλ²/2 of shifts by ±λ, shape (S, K); z and v, its long-run variance, shape (S,)."""
    sizes = np.asarray(_SIZES)
    signed = np.concatenate([sizes, -sizes]) if two_sided else sizes
    return np.asarray(signed * z[:, None] - np.square(signed) / 2.0 * variance[:, None])


def components(*, two_sided: bool) -> int:
    return len(_SIZES) * (2 if two_sided else 1)


def accumulate(
    past: Evidence, log_factor: Array, judged: Mask, *, at: float, error: Array, variance_ratio: Array
) -> Evidence:
    """Add a batch at time `at`; streams that were not judged keep what they had."""
    use = judged[:, None]
    fresh = past.cusum <= 0.0
    weight = (1.0 / variance_ratio)[:, None]
    cusum = np.maximum(past.cusum, 0.0) + np.minimum(log_factor, _LARGEST_LOG)
    detector = multiplied(past.detector, log_factor)
    return Evidence(
        detector=np.where(use, detector, past.detector),
        cusum=np.where(use, np.maximum(cusum, 0.0), past.cusum),
        since=np.where(use & fresh, at, past.since),
        error=np.where(use, np.where(fresh, 0.0, past.error) + error[:, None] * weight, past.error),
        weight=np.where(use, np.where(fresh, 0.0, past.weight) + weight, past.weight),
    )


def multiplied(detector: Array, log_factor: Array) -> Array:
    """(1 + R)·L, kept finite."""
    with np.errstate(over="ignore"):
        return np.minimum((1.0 + detector) * np.exp(np.minimum(log_factor, _LARGEST_LOG)), 1e300)


def of_streams(evidence: Evidence) -> Array:
    """Evidence per stream, shape (S,); its mean is the channel's."""
    return np.asarray(evidence.detector.mean(axis=1))


def change(evidence: Evidence) -> Change:
    """Where each stream's change began: of its components' restarts the one that explains the errors best.

    That is, the one with the largest gain in normal log-likelihood, (Σ error)²/2Σ weight; the evidence itself is no
    guide when it rests on clipped scores, as a large shift then looks like a smaller and older one.
    """
    explained = np.square(evidence.error) / np.where(evidence.weight > 0, evidence.weight, np.inf)
    best = np.argmax(np.where(evidence.cusum > 0, explained, -1.0), axis=1)
    rows = np.arange(len(best))
    weight = evidence.weight[rows, best]
    safe = np.where(weight > 0, weight, 1.0)
    return Change(
        since=evidence.since[rows, best],
        shift=evidence.error[rows, best] / safe,
        standard_error=np.where(weight > 0, 1.0 / np.sqrt(safe), np.inf),
    )


def blame(values: Array, threshold: float) -> npt.NDArray[np.intp]:
    """Which streams moved: e-BH [1]_ on their evidence; when it names none (a diffuse shift), the fewest that together
    hold 80% of the total. Indices, strongest first.

    References
    ----------
    .. [1] Dandapanthula, Ramdas (2025), arXiv 2501.04130: V_(k) ≥ m·A/k bounds the false discoveries over time.
    """
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    passed = np.nonzero(ranked >= len(values) * threshold / np.arange(1, len(values) + 1))[0]
    if passed.size:
        return order[: passed[-1] + 1]
    total = np.cumsum(ranked)
    if total.size == 0 or total[-1] <= 0:
        return order[:0]
    return order[: int(np.searchsorted(total, _FALLBACK_SHARE * total[-1])) + 1]

"""Loss per row: what models are compared by, and what the performance channel watches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

CLIP = 1e-7  # about the resolution of a float32 probability: no single row costs more than 16.1


def log_loss(scores: Array, target: Codes, clip: float = CLIP) -> Array:
    """−ln of the probability given to the true class, shape (n,), probabilities below `clip` raised to it.

    `scores` (n, k), `target` (n,) codes; a class that the model does not know (−1) was given no probability.
    """
    given = scores[np.arange(len(target)), np.maximum(target, 0)]
    loss: Array = -np.log(np.clip(np.where(target < 0, 0.0, given), clip, 1.0))
    return loss


def absolute_error(scores: Array, target: Array) -> Array:
    """|prediction − target|, both (n,)."""
    error: Array = np.abs(scores - target)
    return error


def squared_error(scores: Array, target: Array) -> Array:
    """(prediction − target)², both (n,)."""
    error: Array = np.square(scores - target)
    return error


def brier_loss(scores: Array, target: Codes) -> Array:
    """Squared error of the probabilities, shape (n,): of one class for k = 2, in [0, 1], else summed, in [0, 2].

    A class that the model does not know (−1) is one more class, which it gave no probability.
    """
    truth = np.zeros_like(scores)
    known = np.flatnonzero(target >= 0)
    truth[known, target[known]] = 1.0
    loss: Array = np.square(scores - truth).sum(axis=1) + (target < 0)
    two_classes = scores.shape[1] <= 2  # noqa: PLR2004  # the two squared errors are equal: one of them is the custom
    return np.minimum(loss / 2, 1.0) if two_classes else loss


def predicted_classes(scores: Array) -> npt.NDArray[np.int64]:
    """Code of the most probable class, shape (n,); the first of equals."""
    codes: npt.NDArray[np.int64] = np.argmax(scores, axis=1).astype(np.int64)
    return codes


def correct(scores: Array, target: Codes) -> Array:
    """1 where the most probable class is the true one, else 0, shape (n,)."""
    hits: Array = (predicted_classes(scores) == target).astype(np.float64)
    return hits

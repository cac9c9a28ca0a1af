"""Which rows of the training file are kept as an anchor: never trained on, and not to be forgotten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

_RANGE = 2**32


def is_anchor(ids: Iterable[str], share: float) -> npt.NDArray[np.bool_]:
    """True for about `share` of the ids: by their hash, so that it is the same rows every time."""
    limit = share * _RANGE
    return np.array([_hash(each) < limit for each in ids], dtype=np.bool_)


def _hash(each: str) -> int:
    return int.from_bytes(hashlib.blake2b(each.encode(), digest_size=4).digest(), "big")

"""Recent rows, and as many drawn from all that came before: what is new is learnt and the old is not forgotten."""

from __future__ import annotations

import numpy as np

from monitor.domain.selection.selection import Selection


def with_replay(n: int, count: int, rng: np.random.Generator) -> Selection:
    """The newest `count` of `n` rows and a uniform sample, without repeats, of as many older ones."""
    cut = max(0, n - count)
    old = np.sort(rng.choice(cut, min(count, cut), replace=False))
    return Selection(np.concatenate([old, np.arange(cut, n)]), facts={"replayed": float(len(old))})

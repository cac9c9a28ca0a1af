"""How long two models take for the same rows, measured so that a busy machine is not mistaken for a slow model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

_ROUNDS, _MORE_ROUNDS = 5, 45
_PATIENCE_SECONDS = 20.0  # for the further rounds together


def shortest_seconds(calls: Sequence[Callable[[], object]], *, doubtful: Callable[[list[float]], bool]) -> list[float]:
    """The shortest time of each of `calls`, made in turn: five times, and up to 45 more while the result is `doubtful`.

    What else the machine does only ever adds to a time, and in turns it meets all of them alike.
    """
    best = [float("inf")] * len(calls)
    begun = time.perf_counter()
    for done in range(_ROUNDS + _MORE_ROUNDS):
        late = time.perf_counter() - begun > _PATIENCE_SECONDS
        if done >= _ROUNDS and (late or not doubtful(best)):
            break
        for place, call in enumerate(calls):
            start = time.perf_counter()
            call()
            best[place] = min(best[place], time.perf_counter() - start)
    return best

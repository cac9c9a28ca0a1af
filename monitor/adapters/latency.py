"""How long two models take for the same rows, measured so that a busy machine is not mistaken for a slow model."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence

_ROUNDS, _MORE_ROUNDS = 5, 45
_PATIENCE_SECONDS = 20.0  # for the further rounds together


def shortest_seconds(calls: Sequence[Callable[[], object]], *, doubtful: Callable[[list[float]], bool]) -> list[float]:
    """The shortest time of each of `calls`, made in turn: five times, and up to 45 more while the result is `doubtful`.

    A call during which the process was made to wait for others does not count: on a busy machine the shortest of such
    times is luck. Where every call was, the shortest processor time stands in.
    """
    best, busy = [float("inf")] * len(calls), [float("inf")] * len(calls)
    begun = time.perf_counter()
    for done in range(_ROUNDS + _MORE_ROUNDS):
        late = time.perf_counter() - begun > _PATIENCE_SECONDS
        if done >= _ROUNDS and (late or not doubtful(best)):
            break
        for place, call in enumerate(calls):
            waits, processor, start = _waits(), time.process_time(), time.perf_counter()
            call()
            seconds, busy_seconds = time.perf_counter() - start, time.process_time() - processor
            busy[place] = min(busy[place], busy_seconds)
            if _waits() == waits:
                best[place] = min(best[place], seconds)
    return best if all(seconds < float("inf") for seconds in best) else busy


def _waits() -> int:
    """How often the system took the processor away from this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw

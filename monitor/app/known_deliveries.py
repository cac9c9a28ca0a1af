"""Which files are settled, kept between passes: those need not be asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from monitor.domain.batch import Delivery, DeliveryState, LedgerEntry

SETTLED = (DeliveryState.DONE, DeliveryState.BAD, DeliveryState.DUPLICATE, DeliveryState.REPLACED)


class KnownDeliveries:
    """Of one deployment and kind: 8 bytes per settled file, a hash of its place, size and time of change.

    A new file passes for a settled one with a chance of n / 2⁶⁴, n being their number. It holds while nobody else
    enters anything. `settled_to`: up to this id, all entries are settled and known.
    """

    def __init__(self) -> None:
        self.settled_to = 0
        self._files = np.empty(0, np.int64)  # sorted

    def update(self, later: Iterable[LedgerEntry]) -> None:
        """Take in those with an id above `settled_to`, in their order."""
        newest = self.settled_to
        earliest_open: int | None = None
        fresh: list[int] = []
        for entry in later:
            newest = entry.id
            if entry.state in SETTLED:
                fresh.append(_hash(entry.locator, entry.size, entry.modified))
            elif earliest_open is None:
                earliest_open = entry.id
        self.settled_to = newest if earliest_open is None else earliest_open - 1
        self._add(fresh)

    def settle(self, entry: LedgerEntry) -> None:
        """One that was settled already, under its size and time of now."""
        self._add([_hash(entry.locator, entry.size, entry.modified)])

    def unsettled(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those that lie there otherwise than when they were settled, or never were."""
        hashes = np.array([_hash(d.locator, d.size, d.modified) for d in deliveries], np.int64)
        near = np.minimum(np.searchsorted(self._files, hashes), max(len(self._files) - 1, 0))
        is_known = self._files[near] == hashes if len(self._files) else np.zeros(len(hashes), bool)
        return [deliveries[place] for place in np.flatnonzero(~is_known).tolist()]

    def _add(self, hashes: Sequence[int]) -> None:
        if hashes:
            self._files = np.union1d(self._files, np.array(hashes, np.int64))


def _hash(locator: str, size: int, modified: datetime) -> int:
    """Of this process: Python's own, which differs from one to the next."""
    return hash((locator, size, modified))

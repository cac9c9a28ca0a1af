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
    settles anything; one that it does not know of is asked for again, and settled again.
    """

    def __init__(self, ledger: Iterable[LedgerEntry] = ()) -> None:
        hashes = [_hash(entry.locator, entry.size, entry.modified) for entry in ledger if entry.state in SETTLED]
        self._files = np.unique(np.array(hashes, np.int64))

    def settle(self, entry: LedgerEntry) -> None:
        """Under its size and time of change as they are now."""
        one = _hash(entry.locator, entry.size, entry.modified)
        place = int(np.searchsorted(self._files, one))
        if place == len(self._files) or self._files[place] != one:
            self._files = np.insert(self._files, place, one)

    def unsettled(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those that lie there otherwise than when they were settled, or never were."""
        hashes = np.array([_hash(d.locator, d.size, d.modified) for d in deliveries], np.int64)
        near = np.minimum(np.searchsorted(self._files, hashes), max(len(self._files) - 1, 0))
        is_known = self._files[near] == hashes if len(self._files) else np.zeros(len(hashes), bool)
        return [deliveries[place] for place in np.flatnonzero(~is_known).tolist()]


def _hash(locator: str, size: int, modified: datetime) -> int:
    """Of this process: Python's own, which differs from one to the next."""
    return hash((locator, size, modified))

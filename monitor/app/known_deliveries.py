"""Which files are settled, kept between passes: those need not be asked for again."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime

from monitor.domain.batch import DeliveryState, LedgerEntry

SETTLED = (DeliveryState.DONE, DeliveryState.BAD, DeliveryState.DUPLICATE, DeliveryState.REPLACED)


class KnownDeliveries:
    """Of one deployment and kind: 8 bytes per settled file, a hash of its place, size and time of change,
    which is Python's own and differs from process to process.

    A new file passes for a settled one with a chance of n / 2⁶⁴, n being their number. It holds while nobody else
    settles anything; one that it does not know of is asked for again, and settled again.
    """

    def __init__(self, ledger: Iterable[LedgerEntry] = ()) -> None:
        settled = (entry for entry in ledger if entry.state in SETTLED)
        self._files = array("q", sorted({hash((e.locator, e.size, e.modified)) for e in settled}))

    def settle(self, entry: LedgerEntry) -> None:
        """Under its size and time of change as they are now."""
        if not self.is_settled(entry.locator, entry.size, entry.modified):
            one = hash((entry.locator, entry.size, entry.modified))
            self._files.insert(bisect_left(self._files, one), one)

    def is_settled(self, locator: str, size: int, modified: datetime) -> bool:
        """False for what lies there otherwise than when it was settled, or never was."""
        one = hash((locator, size, modified))
        place = bisect_left(self._files, one)
        return place < len(self._files) and self._files[place] == one

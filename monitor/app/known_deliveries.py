"""What the ledger knows, kept between passes: a settled entry never changes, so only the others are read again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitor.domain.batch import DeliveryState, LedgerEntry

SETTLED = (DeliveryState.DONE, DeliveryState.BAD, DeliveryState.DUPLICATE, DeliveryState.REPLACED)


class KnownDeliveries:
    """Entries of one deployment and kind, by what is asked of them: as many files ask as have entries.

    It holds while nobody else enters anything. `settled_to`: up to this id, all entries are known and settled.
    """

    def __init__(self) -> None:
        self.settled_to = 0
        self._entries: dict[int, LedgerEntry] = {}
        self._by_locator: dict[str, list[int]] = {}
        self._by_fingerprint: dict[str, list[int]] = {}
        self._names: set[str] = set()

    def update(self, later: Iterable[LedgerEntry]) -> None:
        """Take in those with an id above `settled_to`, in their order."""
        newest = self.settled_to
        earliest_open: int | None = None
        for entry in later:
            self.add(entry)
            newest = entry.id
            if earliest_open is None and entry.state not in SETTLED:
                earliest_open = entry.id
        self.settled_to = newest if earliest_open is None else earliest_open - 1

    def add(self, entry: LedgerEntry) -> None:
        """A new one, or what has become of one that is known."""
        if entry.id not in self._entries:
            self._by_locator.setdefault(entry.locator, []).append(entry.id)
            self._by_fingerprint.setdefault(entry.fingerprint, []).append(entry.id)
            self._names.add(entry.name)
        self._entries[entry.id] = entry

    def of_file(self, locator: str) -> Sequence[LedgerEntry]:
        """In the order in which they were first seen, like those of a content."""
        return [self._entries[id_] for id_ in self._by_locator.get(locator, ())]

    def of_content(self, fingerprint: str) -> Sequence[LedgerEntry]:
        return [self._entries[id_] for id_ in self._by_fingerprint.get(fingerprint, ())]

    def has_name(self, name: str) -> bool:
        return name in self._names

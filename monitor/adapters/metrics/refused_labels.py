"""Label rows that went to quarantine, counted from the journal without reading it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from monitor.app.join_labels import STAGED
from monitor.app.ports import Store

_PAGE = 200  # journal entries read at a time


class RefusedLabels:
    """`rows` by reason; they only grow, within a process and from one process to the next."""

    def __init__(self, store: Store, deployment: str) -> None:
        self._store, self._deployment = store, deployment
        self._counted = 0  # number of the newest entry that is counted
        self.rows: Counter[str] = Counter()

    def update(self) -> None:
        """Count what has come since; raises StoreError and has then counted nothing."""
        rows, newest = Counter(self.rows), self._counted
        for entry in self._later():
            rows.update(entry.get("reasons", {}))
            newest = max(newest, entry["number"])
        self.rows, self._counted = rows, newest

    def _later(self) -> Iterator[Mapping[str, Any]]:
        """Entries that are not counted yet, from the newest page back to the oldest. One is enough to see none."""
        before, page = None, 1
        while True:
            found = self._store.events(self._deployment, event=STAGED, last=page, before=before)
            new = [entry for entry in found if entry["number"] > self._counted]
            yield from new
            if len(new) < page:
                return
            before, page = new[0]["number"], _PAGE

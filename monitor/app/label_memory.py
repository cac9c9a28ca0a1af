"""What a deployment remembers of its labels: how they come in, and which of them are doubted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from monitor.app.ports import LabelBook, States, Transaction
from monitor.domain.label_arrival import Arrivals
from monitor.domain.label_trust import Doubt, LabelTrust

_LABELS = "labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMemory:
    arrivals: Arrivals = field(default_factory=Arrivals)
    trust: LabelTrust = field(default_factory=LabelTrust)

    @classmethod
    def load(cls, states: States, deployment: str) -> LabelMemory:
        body = states.state(deployment, _LABELS)
        if body is None:
            return cls()
        plain = json.loads(body)
        return cls(arrivals=Arrivals.from_dict(plain["arrivals"]), trust=LabelTrust.from_dict(plain["trust"]))

    def save(self, tx: Transaction, deployment: str) -> None:
        plain = {"arrivals": self.arrivals.to_dict(), "trust": self.trust.to_dict()}
        tx.put_state(deployment, _LABELS, json.dumps(plain).encode())

    def observed(self, batches: Sequence[str], labelled: Mapping[str, int], batch: str, rows: int) -> LabelMemory:
        """One batch later; one that is older than another that came before it tells nothing about arrival."""
        if not batches or batches[-1] != batch:
            return self
        return replace(self, arrivals=self.arrivals.observe(batches, labelled, rows))

    def matured(self, batch: str) -> LabelMemory:
        """This window was judged, or would have been: it is not looked at again until other labels come."""
        return replace(self, arrivals=self.arrivals.matured(batch))

    def enough(self, coverage: float, matured_at: float) -> bool:
        """Whether a window may be judged: so much is there of what comes in the end.

        Where a part of the labels never comes, waiting for a share of all rows would be waiting for ever.
        """
        return coverage > 0 and coverage >= matured_at * self.arrivals.curve.reachable

    def usable(self, labelled: Mapping[str, int]) -> dict[str, int]:
        """Labelled rows per batch that may be learnt from; batches without any are left out."""
        withheld = self.trust.withheld
        return {batch: rows for batch, rows in labelled.items() if rows and batch not in withheld}

    def count_usable(self, book: LabelBook) -> tuple[int, int]:
        """Rows and batches of `usable`, without walking through all of them."""
        rows, batches = book.total
        labelled = book.labelled_rows()
        withheld = [labelled[batch] for batch in self.trust.withheld if labelled.get(batch)]
        return rows - sum(withheld), batches - len(withheld)


def journal(tx: Transaction, deployment: str, at: datetime, changed: Sequence[Doubt], *, by: str) -> None:
    """One event for each window whose labels are now held, released or rejected."""
    for doubt in changed:
        tx.add_event(deployment, at, f"labels_{doubt.standing.value}", {**doubt.to_dict(), "by": by})

"""A batch: the rows of one delivery, its window of event time, and its state in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


def aware(at: datetime) -> datetime:
    """Return `at`; a datetime without zone is a ValueError, wherever it comes from."""
    if at.utcoffset() is None:
        raise ValueError(f"naive datetime: {at!r}")
    return at


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Half-open span of event time, UTC. `end` is the policy's clock when the batch is judged."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if aware(self.end) < aware(self.start):
            raise ValueError(f"window ends {self.end} before it starts {self.start}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A file as it lies at the source. `name` is the batch id a user types: path below the fixed part, no suffix."""

    locator: str
    name: str
    size: int
    modified: datetime

    def __post_init__(self) -> None:
        aware(self.modified)


IsSettled = Callable[[str, int, datetime], bool]  # of what lies there: by its locator, size and time of change


class DeliveryKind(StrEnum):
    BATCH = "batch"
    LABELS = "labels"


class DeliveryState(StrEnum):
    """Where a delivery stands in the ledger."""

    SEEN = "seen"
    CLAIMED = "claimed"
    DONE = "done"
    BAD = "bad"  # judged `bad_data`: recorded, never retried
    DUPLICATE = "duplicate"  # same content as another delivery
    REPLACED = "replaced"  # new content under a name already processed


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One delivery, identified by deployment, kind, locator and content."""

    id: int
    deployment: str
    kind: DeliveryKind
    locator: str
    fingerprint: str
    name: str
    size: int
    modified: datetime
    state: DeliveryState
    reason: str = ""
    window: Window | None = None

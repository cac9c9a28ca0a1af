"""Labels that wait: for their row to be collected, or for the moment at which they become available."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from monitor.adapters.id_runs import Hashes
from monitor.adapters.label_merge import LABEL, Labels

UNKNOWN, GONE = -1, -2  # in place of a row: no batch has had it; the batch that had it is not collected any more


class PendingLabels:
    """About 50 bytes per label; ids are kept as hashes, so that what is found by them must be checked."""

    def __init__(self) -> None:
        self._waiting: list[Labels] = []  # their rows are not collected; in pieces until somebody looks
        self._hashes: list[Hashes] = []
        self._placed: dict[str, Labels] = {}  # by batch; their rows and moments are known
        self._unmatched: tuple[int, int] | None = None  # None: to be counted

    def __len__(self) -> int:
        return sum(map(len, self._waiting)) + sum(map(len, self._placed.values()))

    @property
    def waits(self) -> bool:
        """Whether there are labels whose rows are not collected."""
        return any(map(len, self._waiting))

    @property
    def unmatched(self) -> tuple[int, int]:
        """How many labels wait for a row that no batch has had, and the earliest arrival among them, 0 without any."""
        if self._unmatched is None:
            arrivals = [labels["arrival"][labels["row"] == UNKNOWN] for labels in self._waiting]
            earliest = [int(each.min()) for each in arrivals if len(each)]
            self._unmatched = sum(map(len, arrivals)), min(earliest, default=0)
        return self._unmatched

    def wait(self, labels: Labels, hashes: Hashes) -> None:
        """Keep labels whose rows are not collected; each is UNKNOWN or GONE."""
        if len(labels):
            self._unmatched = None
            self._waiting.append(labels)
            self._hashes.append(hashes)

    def place(self, batch: str, labels: Labels) -> None:
        """Keep labels until they are due."""
        if len(labels):
            self._placed[batch] = np.concatenate([self._placed.get(batch, np.empty(0, LABEL)), labels])

    def candidates(self, hashes: Hashes) -> npt.NDArray[np.intp]:
        """Positions of the waiting labels with one of these hashes."""
        if not self._waiting or not len(hashes):
            return np.empty(0, np.intp)
        if len(self._waiting) > 1:
            self._waiting, self._hashes = [np.concatenate(self._waiting)], [np.concatenate(self._hashes)]
        wanted = np.sort(hashes)
        near = np.minimum(np.searchsorted(wanted, self._hashes[0]), len(wanted) - 1)
        return np.flatnonzero(wanted[near] == self._hashes[0])

    def waiting(self, positions: npt.NDArray[np.intp]) -> Labels:
        """Valid after `candidates`, until labels are added."""
        return self._waiting[0][positions]

    def drop_waiting(self, positions: npt.NDArray[np.intp]) -> None:
        """Valid after `candidates`, until labels are added."""
        if len(positions):
            self._unmatched = None
            self._waiting = [np.delete(self._waiting[0], positions)]
            self._hashes = [np.delete(self._hashes[0], positions)]

    def due(self, clock: int) -> Mapping[str, Labels]:
        """Placed labels whose moment has come, by batch."""
        due = {batch: labels[labels["due"] <= clock] for batch, labels in self._placed.items()}
        return {batch: labels for batch, labels in due.items() if len(labels)}

    def settle(self, batch: str, clock: int) -> None:
        """Forget what was due at `clock`."""
        labels = self._placed.pop(batch)
        self.place(batch, labels[labels["due"] > clock])

    def next_due(self, after: int) -> int | None:
        """The earliest moment later than `after` among the placed labels."""
        later = [moments[moments > after] for moments in (labels["due"] for labels in self._placed.values())]
        return min((int(moments.min()) for moments in later if len(moments)), default=None)

"""How many rows of each batch have a label: in columns, for there are ever more batches."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.domain.packed_names import PackedNames

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is remembered of a joined file. `digest` is that of the batch's row ids when it was written."""

    rows: int = 0
    labelled: int = 0
    revision: int = 0
    digest: str = ""  # hexadecimal, of 16 bytes


class Tallies:
    """By batch. One takes 48 bytes and the batch's name. None goes: they are made anew when batches have gone."""

    def __init__(self, tallies: Mapping[str, Tally] | None = None) -> None:
        self._names = PackedNames()
        self._rows, self._labelled, self._revisions = array("I"), array("I"), array("I")
        self._digests = bytearray()
        self.labelled_rows = 0
        self.labelled_batches = 0
        for batch, tally in (tallies or {}).items():
            self.put(batch, tally)

    def put(self, batch: str, tally: Tally) -> None:
        """In the place of its former one."""
        if (number := self._names.find(batch)) is None:
            number = self._names.append(batch)
            for column in (self._rows, self._labelled, self._revisions):
                column.append(0)
            self._digests += bytes(_DIGEST_BYTES)
        before = self._labelled[number]
        self.labelled_rows += tally.labelled - before
        self.labelled_batches += (tally.labelled > 0) - (before > 0)
        self._rows[number], self._labelled[number] = tally.rows, tally.labelled
        self._revisions[number] = tally.revision
        at = number * _DIGEST_BYTES
        self._digests[at : at + _DIGEST_BYTES] = bytes.fromhex(tally.digest)

    def labelled(self, batch: str) -> int:
        number = self._names.find(batch)
        return 0 if number is None else self._labelled[number]

    def of(self, batch: str) -> Tally:
        """All of it 0 for a batch that no label was joined to."""
        if (number := self._names.find(batch)) is None:
            return Tally()
        at = number * _DIGEST_BYTES
        return Tally(
            rows=self._rows[number],
            labelled=self._labelled[number],
            revision=self._revisions[number],
            digest=self._digests[at : at + _DIGEST_BYTES].hex(),
        )

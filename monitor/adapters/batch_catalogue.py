"""Which batches are collected, and what is known of their files: in columns, for there are ever more of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from monitor.domain.packed_names import PackedNames

_GONE = 0  # in place of an edition
_DIGEST_BYTES = 16
_FEW = 1000  # gone ones, for which nothing is made anew


@dataclass(frozen=True, slots=True)
class Form:
    """What nearly all files of a deployment have in common."""

    id_column: str
    scores: tuple[str, ...]  # names of the score columns
    regression: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedFile:
    """`start` and `end` are those of the window, in µs since 1970; `digest` is hexadecimal, of 16 bytes."""

    batch: str
    edition: int  # of the batch, from 1
    start: int
    end: int
    form: Form
    digest: str


class BatchCatalogue:
    """Batches are numbered from 0 as they come; one that comes with other rows, or another window, gets a new number.

    A batch takes 62 bytes and its name. Safe from any thread that holds the owner's lock; the order that it gives
    out is safe without.
    """

    def __init__(self, *, mark: int = 1) -> None:
        """`mark`: of another catalogue that this one takes the place of."""
        self._names = PackedNames()
        self._starts, self._ends = array("q"), array("q")
        self._editions = array("I")
        self._form_of, self._forms = array("H"), list[Form]()
        self._digests = bytearray()
        self._order = array("I")  # numbers of those that are there; only ever appended to, or replaced
        self._before = self._broken = mark

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, batch: str) -> bool:
        return self._names.find(batch) is not None

    @property
    def mark(self) -> int:
        """Larger after every change."""
        return self._before + len(self._names)

    def since(self, mark: int) -> list[str] | None:
        """Batches that were added since; None when one is gone since, too."""
        if mark < self._broken:
            return None
        return [self._names[k] for k in range(mark - self._before, len(self._names)) if self._editions[k] != _GONE]

    def number(self, batch: str) -> int:
        """Raises LookupError when it is not there."""
        if (number := self._names.find(batch)) is None:
            raise LookupError(f"batch {batch!r} is not collected")
        return number

    def batch(self, number: int) -> str | None:
        """None when it is gone."""
        return self._names[number] if self._editions[number] != _GONE else None

    def find(self, batch: str) -> CollectedFile | None:
        return self._file(number) if (number := self._names.find(batch)) is not None else None

    def file(self, batch: str) -> CollectedFile:
        """Raises LookupError when it is not there."""
        return self._file(self.number(batch))

    def add(self, file: CollectedFile) -> int:
        """A batch that is there already is gone under its former number."""
        if file.batch in self:
            self.remove(file.batch)
        number = self._names.append(file.batch)
        self._starts.append(file.start)
        self._ends.append(file.end)
        self._editions.append(file.edition)
        self._form_of.append(self._form_number(file.form))
        self._digests += bytes.fromhex(file.digest)
        place = bisect_left(self._order, self._place(number), key=self._place)
        if place == len(self._order):
            self._order.append(number)  # it nearly always is the newest one
        else:
            self._order = self._order[:place] + array("I", [number]) + self._order[place:]
        return number

    def rewrite(self, file: CollectedFile) -> None:
        """A batch that is there comes with the same rows and window, in another file. Raises LookupError."""
        number = self.number(file.batch)
        self._editions[number] = file.edition
        self._form_of[number] = self._form_number(file.form)

    def remove(self, batch: str) -> None:
        """Raises LookupError."""
        number = self.number(batch)
        place = bisect_left(self._order, self._place(number), key=self._place)
        self._order = self._order[:place] + self._order[place + 1 :]
        self._editions[number] = _GONE
        self._names.forget(number)
        self._before += 1
        self._broken = self.mark

    @property
    def is_mostly_gone(self) -> bool:
        return len(self._names) > 2 * len(self) + _FEW

    def compacted(self) -> BatchCatalogue:
        """Another one without those that are gone, and with other numbers."""
        other = BatchCatalogue(mark=self.mark + 1)
        for number in self._order:
            other.add(self._file(number))
        return other

    def ordered(self) -> Sequence[str]:
        """In order of window end, start and name: as it is now, whatever comes."""
        return _Ordered(self._names, self._order, len(self._order))

    def _file(self, number: int) -> CollectedFile:
        at = number * _DIGEST_BYTES
        return CollectedFile(
            batch=self._names[number],
            edition=self._editions[number],
            start=self._starts[number],
            end=self._ends[number],
            form=self._forms[self._form_of[number]],
            digest=self._digests[at : at + _DIGEST_BYTES].hex(),
        )

    def _place(self, number: int) -> tuple[int, int, str]:
        return self._ends[number], self._starts[number], self._names[number]

    def _form_number(self, form: Form) -> int:
        if form not in self._forms:
            self._forms.append(form)
        return self._forms.index(form)


class _Ordered(Sequence[str]):
    """Nothing is made of a name before it is asked for."""

    def __init__(self, names: PackedNames, order: array[int], length: int) -> None:
        self._names, self._order, self._length = names, order, length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self._names[self._order[k]] for k in range(*at.indices(self._length))]
        return self._names[self._order[range(self._length)[at]]]

"""Names by number and numbers by name: what is held for ever more of them, in little."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, MutableMapping, Sequence

_FEW = 1000  # names that are found no longer, for which nothing is made anew


class PackedNames:
    """Numbers run from 0. A name takes its text and 20 bytes, a twentieth of what it takes in a `dict`."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("Q")  # in the text, by number
        self._hashes = array("q")  # in order, of the names that are found: Python's own, of this process
        self._numbers = array("I")  # theirs

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, name: str) -> int:
        """The next number; from now on it is the one that the name is found under."""
        if (before := self.find(name)) is not None:
            self.forget(before)
        self._text += name.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._text))
        number, one = len(self._ends) - 1, hash(name)
        place = bisect_left(self._hashes, one)
        self._hashes.insert(place, one)
        self._numbers.insert(place, number)
        return number

    @property
    def numbers(self) -> Sequence[int]:
        """Of the names that are found, in no order."""
        return self._numbers

    def find(self, name: str) -> int | None:
        one = hash(name)
        for place in range(bisect_left(self._hashes, one), bisect_right(self._hashes, one)):
            if self[number := self._numbers[place]] == name:
                return number
        return None

    def forget(self, number: int) -> None:
        """It keeps its name, but is found no longer."""
        one = hash(self[number])
        for place in range(bisect_left(self._hashes, one), bisect_right(self._hashes, one)):
            if self._numbers[place] == number:
                del self._hashes[place], self._numbers[place]
                return

    def __getitem__(self, number: int) -> str:
        start = self._ends[number - 1] if number else 0
        return self._text[start : self._ends[number]].decode("utf-8", "surrogatepass")


class PackedCounts(MutableMapping[str, int]):
    """Counts from 0 to 2³² - 1 by name; a name takes its text and 24 bytes. In the order in which names came."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self._names, self._counts = PackedNames(), array("I")
        self.update(counts or {})

    def __getitem__(self, name: str) -> int:
        if (number := self._names.find(name)) is None:
            raise KeyError(name)
        return self._counts[number]

    def __setitem__(self, name: str, count: int) -> None:
        if (number := self._names.find(name)) is not None:
            self._counts[number] = count
        else:
            self._names.append(name)
            self._counts.append(count)

    def __delitem__(self, name: str) -> None:
        if (number := self._names.find(name)) is None:
            raise KeyError(name)
        self._names.forget(number)
        if len(self._names) > 2 * len(self) + _FEW:
            left = PackedCounts(self)
            self._names, self._counts = left._names, left._counts

    def __iter__(self) -> Iterator[str]:
        return (self._names[number] for number in sorted(self._names.numbers))

    def __len__(self) -> int:
        return len(self._names.numbers)

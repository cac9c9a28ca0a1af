"""Names by number and numbers by name: what is held for ever more of them, in little."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right


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

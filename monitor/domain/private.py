"""Columns whose values nobody is to see outside of the collected rows."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

WITHHELD = "withheld: the column is private"


def veil(levels: Iterable[str], name: str) -> tuple[str, ...]:
    """For each level a text that stands for it, the same each time: what is kept of a column can be compared by it.

    Who has the files can still find out whether a value that they guess is among them; nobody can read one off.
    """
    return tuple(
        f"private:{blake2b(level.encode(), key=name.encode()[:64], digest_size=8).hexdigest()}" for level in levels
    )

"""Columns whose values nobody is to see outside of the collected rows."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

WITHHELD = "withheld: there are private columns"
_VEILED = "private:"


def veil(levels: Iterable[str], name: str) -> tuple[str, ...]:
    """For each level a text that stands for it, the same each time: what is kept of a column can be compared by it.

    Who has the files can still find out whether a value that they guess is among them; nobody can read one off.
    """
    return tuple(
        f"{_VEILED}{blake2b(level.encode(), key=name.encode()[:64], digest_size=8).hexdigest()}" for level in levels
    )


def without_text(exc: Exception) -> Exception:
    """An error of the same kind at the same place in the code, but not what it says: it may quote a value."""
    return RuntimeError(f"{type(exc).__name__}, {WITHHELD}").with_traceback(exc.__traceback__)


def is_veiled(level: str) -> bool:
    """What stands for a level is not shown either: of few possible values it would tell which one it is."""
    return level.startswith(_VEILED)

"""How many of the newest labelled rows no candidate sees, so that they can be compared on them."""

from __future__ import annotations

from collections.abc import Sequence

_SHARE = 0.4  # of the new rows at least; the rest gives the candidates fresher rows than the champion's
_FEWEST_BATCHES = 2  # one batch alone is one draw of what batches are like
MOST_BATCHES = 5  # enough to compare on; more would keep fresh rows from the candidates for longer


def held_out_rows(new: Sequence[int], *, most: int | None = MOST_BATCHES) -> int:
    """Of batches with so many `new` labelled rows each, oldest first: the newest that hold 40% of the rows, whole.

    At least two batches and at most `most`, and never all: a candidate without any row that the champion has not seen
    could not be better. With fewer than three batches, half of the rows. Never fewer than one row.
    """
    total = sum(new)
    if len(new) <= _FEWEST_BATCHES:
        return max(1, total // 2)
    held_out = 0
    for taken, rows in enumerate(reversed(new[1:])):
        enough = taken >= _FEWEST_BATCHES and held_out >= _SHARE * total
        if enough or taken == most:
            break
        held_out += rows
    return max(1, held_out)

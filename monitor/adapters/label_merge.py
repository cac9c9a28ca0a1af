"""Which label counts when there are several for a row: a rule on arrays, without files.

Labels of a row are ranked by the moment at which they became available, then by the arrival of their delivery, its
name and their place in it; the last one counts. So the result does not depend on the order in which they are merged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LABEL = np.dtype(
    [
        ("row", "i8"),  # in the batch
        ("value", "f8"),  # the label, or its code
        ("due", "i8"),  # µs since 1970, when it became available
        ("arrival", "i8"),  # µs since 1970
        ("delivery", "i4"),  # number of the delivery in a list of names
        ("position", "i8"),  # in the delivery
    ]
)
Labels = npt.NDArray[np.void]  # of dtype LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """`labels`: one per row, in order of rows. The counts are of the new labels and add up to their number."""

    labels: Labels
    joined: int
    duplicate: int
    corrected: int


def merge_labels(old: Labels, new: Labels, delivery: Callable[[int], str]) -> Merged:
    """Merge new labels into those that count (`old`, at most one per row); `delivery` names one by its number.

    A new label is a duplicate when it equals the one ranked before it (or after it, when it comes first), corrected
    when it differs from that, and joined when its row had none.
    """
    every = np.concatenate([old, new])
    is_new = np.arange(len(every)) >= len(old)
    order = _ranked(every, delivery)
    every, is_new = every[order], is_new[order]
    first = np.ones(len(every), bool)
    first[1:] = every["row"][1:] != every["row"][:-1]
    last = np.append(first[1:], True)[: len(every)]
    group = np.cumsum(first) - 1
    had_label = np.bincount(group, weights=~is_new)[group] > 0 if len(every) else first
    neighbour = np.arange(len(every)) + np.where(first, 1, -1)  # only looked at where there is one
    same = every["value"] == every["value"][np.clip(neighbour, 0, max(len(every) - 1, 0))]
    joined = is_new & first & ~had_label
    duplicate = is_new & ~joined & same
    return Merged(
        labels=every[last],
        joined=int(joined.sum()),
        duplicate=int(duplicate.sum()),
        corrected=int((is_new & ~joined & ~same).sum()),
    )


def is_settled(new: Labels, old: Labels, delivery: Callable[[int], str]) -> npt.NDArray[np.bool_]:
    """True for the new labels that cannot count any more: their row's present label is the same one or ranks higher."""
    if not len(old) or not len(new):
        return np.zeros(len(new), bool)
    by_row = old[np.argsort(old["row"])]
    found = np.clip(np.searchsorted(by_row["row"], new["row"]), 0, len(by_row) - 1)
    present = by_row[found]
    place = _places(np.concatenate([new["delivery"], present["delivery"]]), delivery)
    theirs = (new["due"], new["arrival"], place[: len(new)])
    ours = (present["due"], present["arrival"], place[len(new) :])
    settled: npt.NDArray[np.bool_] = np.ones(len(new), bool)
    for mine, other in zip(reversed(theirs), reversed(ours), strict=True):
        settled = np.where(mine == other, settled, mine < other)
    settled &= present["row"] == new["row"]
    return settled


def _ranked(labels: Labels, delivery: Callable[[int], str]) -> npt.NDArray[np.intp]:
    """Order by row, and within a row from the label that counts least to the one that counts."""
    place = _places(labels["delivery"], delivery)
    return np.lexsort((labels["position"], place, labels["arrival"], labels["due"], labels["row"]))


def _places(delivery: npt.NDArray[np.int32], name: Callable[[int], str]) -> npt.NDArray[np.intp]:
    """Rank of each delivery by name, among those present."""
    present, inverse = np.unique(delivery, return_inverse=True)
    by_name = sorted(range(len(present)), key=lambda i: name(int(present[i])))
    rank = np.empty(len(present), np.intp)
    rank[by_name] = np.arange(len(present))
    return rank[inverse]

"""Which candidate is the best: by its scores on the held-out rows of this attempt and of those before."""

from __future__ import annotations

from collections.abc import Mapping

DISCOUNT = 0.6  # per attempt; chosen on real streams, where the best window changes slowly
CLEARLY = 0.05  # relative; one of many earlier versions is a little better by chance


def choose(losses: Mapping[str, float], record: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """Return the candidate with the best discounted record, and the record to keep for the next attempt.

    `losses` are mean held-out losses of this attempt, not necessarily what the gate asks for; `record` the sums of
    earlier attempts, each discounted by `DISCOUNT` per attempt. A candidate without a record is given the mean of the
    others' records, so that a new one is neither favoured nor punished. Ties go to the first in the order of `losses`.
    Raises ValueError when empty.
    """
    if not losses:
        raise ValueError("no candidates to choose from")
    known = [record[name] for name in losses if name in record]
    newcomer = sum(known) / len(known) if known else 0.0
    updated = {name: DISCOUNT * record.get(name, newcomer) + loss for name, loss in losses.items()}
    return min(updated, key=lambda name: updated[name]), updated


def is_right_again(earlier: float, candidate: float) -> bool:
    """Whether an earlier version, by its loss on the rows held out now, is taken instead of the chosen candidate.

    What was learnt under an earlier regime is right again when that regime returns (recurring concepts: Widmer and
    Kubat, 1996), and long before enough rows of it have come to learn it anew. Only a clearly smaller loss counts.
    """
    return earlier * (1 + CLEARLY) < candidate

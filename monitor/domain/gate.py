"""Which candidate is best, and whether it may replace the champion. Pure: losses in, a judgement out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

DISCOUNT = 0.6  # per attempt; chosen on real streams, where the best window changes slowly
_MIN_ROWS = 30  # below this a mean loss says nothing about which model is better


class Outcome(StrEnum):
    PROMOTE = "promote"
    KEEP = "keep"  # cannot tell, or was not asked to act: the champion stays
    REJECT = "reject"  # the candidate is worse


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """`non_inferior`: the candidate's mean held-out loss is at most (1 + margin) × the champion's. `off`: always."""

    kind: str = "non_inferior"
    margin: float = 0.02


@dataclass(frozen=True, slots=True)
class Judgement:
    outcome: Outcome
    reason: str


def choose(losses: Mapping[str, float], record: Mapping[str, float]) -> tuple[str, dict[str, float]]:
    """Return the candidate with the best discounted record, and the record to keep for the next attempt.

    `losses` are mean held-out losses of this attempt, `record` the sums of earlier attempts, each discounted by
    `DISCOUNT` per attempt. A candidate without a record is given the mean of the others' records, so that a new one
    is neither favoured nor punished. Ties go to the first in the order of `losses`. Raises ValueError when empty.
    """
    if not losses:
        raise ValueError("no candidates to choose from")
    known = [record[name] for name in losses if name in record]
    newcomer = sum(known) / len(known) if known else 0.0
    updated = {name: DISCOUNT * record.get(name, newcomer) + loss for name, loss in losses.items()}
    return min(updated, key=lambda name: updated[name]), updated


def judge(rule: GateRule, *, champion: float | None, candidate: float, rows: int) -> Judgement:
    """Hold the candidate's mean loss against the champion's on the same `rows` held-out rows.

    Without a champion the first model is promoted. Losses are non-negative; a champion loss of zero passes only a
    candidate that is perfect, too.
    """
    if champion is None:
        return Judgement(Outcome.PROMOTE, "no champion yet")
    if rule.kind == "off":
        return Judgement(Outcome.PROMOTE, "the gate is off")
    if rows < _MIN_ROWS:
        return Judgement(Outcome.KEEP, f"only {rows} held-out rows new to the champion, need {_MIN_ROWS}")
    limit = champion * (1 + rule.margin)
    numbers = f"held-out loss {candidate:.4g} against the champion's {champion:.4g} on {rows} rows"
    if candidate <= limit:
        return Judgement(Outcome.PROMOTE, f"{numbers}: not worse by more than {rule.margin:.0%}")
    return Judgement(Outcome.REJECT, f"{numbers}: worse by more than {rule.margin:.0%}")

"""Whether a candidate may replace the champion. Pure: numbers in, a judgement with every number out.

The loss on held-out rows decides. All other checks can only refuse, and do so when they are sure: with a check for each
segment, the metric and the calibration, chance alone would otherwise refuse most good candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

MIN_ROWS = 30  # below this a mean loss says nothing about which model is better


class Outcome(StrEnum):
    PROMOTE = "promote"
    KEEP = "keep"  # cannot tell, or was not asked to act: the champion stays
    REJECT = "reject"  # the candidate is worse


class GateKind(StrEnum):
    NON_INFERIOR = "non_inferior"
    STRICT = "strict"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """Operator intent. `margin`: of the champion's loss; `anchor_margin` likewise, on the anchor rows.

    `non_inferior`: the candidate's mean loss on the held-out rows is at most (1 + `margin`) times the champion's.
    `strict`: it is proven to be (`domain.checks.proof`). `off`: everything is measured and nothing refused.
    A limit that is None is not applied.
    """

    kind: GateKind
    margin: float
    segments: bool
    max_calibration_increase: float | None
    max_latency_ratio: float | None
    max_size_ratio: float | None
    anchor_margin: float

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> GateRule:
        """The inverse of `dataclasses.asdict`, also after JSON."""
        return cls(**{**plain, "kind": GateKind(plain["kind"])})


class Finding(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"  # too little to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question of the gate: what was measured of both, on how many rows, and the limit of the candidate's value.

    `detail` says it in words. None where there is no such number.
    """

    name: str
    finding: Finding
    candidate: float | None = None
    champion: float | None = None
    limit: float | None = None
    rows: int | None = None
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        return {**asdict(self), "finding": self.finding.value}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Check:
        return cls(**{**plain, "finding": Finding(plain["finding"])})


@dataclass(frozen=True, slots=True)
class Judgement:
    outcome: Outcome
    reason: str
    checks: tuple[Check, ...] = ()


def conclude(rule: GateRule, checks: Sequence[Check]) -> Judgement:
    """One failed check rejects, one that cannot tell keeps the champion, otherwise the candidate is promoted.

    The first check is the one on the loss; its words are the reason of a promotion. Without any check, because there
    is no champion to compare with, the candidate is promoted.
    """
    kept = tuple(checks)
    if not kept:
        return Judgement(Outcome.PROMOTE, "no champion yet")
    if rule.kind is GateKind.OFF:
        return Judgement(Outcome.PROMOTE, "the gate is off", kept)
    for finding, outcome in ((Finding.FAILED, Outcome.REJECT), (Finding.UNDECIDED, Outcome.KEEP)):
        found = [check.detail for check in kept if check.finding is finding]
        if found:
            return Judgement(outcome, "; ".join(found[:2]) + _more(found), kept)
    return Judgement(Outcome.PROMOTE, kept[0].detail, kept)


def _more(found: Sequence[str]) -> str:
    return f"; and {len(found) - 2} more" if len(found) > 2 else ""  # noqa: PLR2004  # those that are named

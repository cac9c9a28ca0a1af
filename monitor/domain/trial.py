"""A version on trial beside the champion: a candidate in shadow, or the predecessor of one that was just promoted.

Both are scored on every batch for a number of windows. When a window's labels have come, the losses of the two on its
rows are a pair; the pairs decide. Pure: pairs in, a finding with its reason out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.domain.policy import Trigger
from monitor.stats.sequential.duel import evidence, onset

FALSE_FINDINGS = 0.05  # chance that equal models are told apart within the windows of one trial


class Role(StrEnum):
    """What the version beside the champion is."""

    CANDIDATE = "candidate"  # in shadow: takes over if it is better
    PREDECESSOR = "predecessor"  # of a promoted version on watch: comes back if that one fails


class Finding(StrEnum):
    HELPED = "helped"  # the promoted version is better than its predecessor, and the alarm it answered is over
    NO_DIFFERENCE = "no_difference"
    FAILED = "failed"  # the promoted version is worse: the predecessor comes back
    SHADOW_OVER = "shadow_over"  # the gate has the last word
    BROKEN = "broken"  # the version in shadow could not score


PROMOTED, REJECTED = "promoted", "rejected"  # what a candidate in shadow comes to, by the gate's word
FINDINGS = (Finding.HELPED.value, Finding.NO_DIFFERENCE.value, Finding.FAILED.value, PROMOTED, REJECTED)  # as told


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Mean losses of both on the labelled rows of one window; `z`: how surely the champion loses more."""

    batch: str
    rows: int
    champion: float
    other: float
    z: float | None  # None: too few rows to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """`windows`: how many pairs are wanted. `scored`: batches that both have scored, oldest first.

    `answered`: the attempt was made while an alarm stood. `broken`: why the other version could not score.
    """

    role: Role
    champion: int
    other: int
    windows: int
    trigger: Trigger
    answered: bool = False
    scored: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    broken: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Trial:
        return cls(
            **{
                **plain,
                "role": Role(plain["role"]),
                "trigger": Trigger(plain["trigger"]),
                "scored": tuple(plain["scored"]),
                "pairs": tuple(Pair(**pair) for pair in plain["pairs"]),
            }
        )

    @property
    def z(self) -> npt.NDArray[np.float64]:
        """Of the pairs, shape (pairs,); NaN where there were too few rows."""
        return np.array([np.nan if pair.z is None else pair.z for pair in self.pairs])

    @property
    def limit(self) -> float:
        """Evidence that two equal models reach with a chance of `FALSE_FINDINGS` at most."""
        return self.windows / FALSE_FINDINGS

    def with_pair(self, pair: Pair) -> Trial:
        """Windows are compared in the order in which their labels came."""
        return replace(self, pairs=(*self.pairs, pair))

    def losses(self, since: int = 0) -> tuple[float, float]:
        """Mean loss per row of champion and other over the pairs from `since` on; there must be one."""
        pairs = self.pairs[since:]
        rows = sum(pair.rows for pair in pairs)
        return sum(p.rows * p.champion for p in pairs) / rows, sum(p.rows * p.other for p in pairs) / rows


def admitted(trial: Trial, kind: str, margin: float) -> tuple[bool, str]:
    """Whether a candidate in shadow may take over, by the losses of its windows.

    `kind` and `margin` are the gate's: the margin holds for the mean loss, `strict` asks for proof that the champion
    loses more, `off` for nothing.
    """
    champion, candidate = trial.losses()
    numbers = f"in shadow {_numbers(trial)}"
    if kind == "off":
        return True, f"{numbers}; the gate is off"
    if kind == "strict":
        proven = bool(evidence(trial.z)[-1] >= trial.limit)
        return proven, f"{numbers}: {'surely' if proven else 'not surely'} better"
    passed = candidate <= champion * (1 + margin)
    return passed, f"{numbers}: {'not worse' if passed else 'worse'} by more than {margin:.0%}"


@dataclass(frozen=True, slots=True)
class Concluded:
    finding: Finding
    reason: str


def conclude(trial: Trial, *, min_increase: float, drifting: bool) -> Concluded | None:
    """The finding, or None while more windows are wanted.

    A promoted version fails, in the middle of its watch too, when it surely loses more than its predecessor on the same
    rows, and by more than `min_increase` (relative) since that began: a world that has become harder for both is no
    failure. It helped when the opposite is sure at the end, and performance is not `drifting` (any more).
    """
    if trial.broken:
        return _broken(trial)
    if not trial.pairs:
        return None
    over = len(trial.pairs) >= trial.windows
    if trial.role is Role.CANDIDATE:
        return Concluded(Finding.SHADOW_OVER, _numbers(trial)) if over else None
    return _failed(trial, min_increase) or (_stood(trial, drifting=drifting) if over else None)


def _failed(trial: Trial, min_increase: float) -> Concluded | None:
    z = trial.z
    since = onset(z)
    champion, other = trial.losses(since)
    if evidence(z)[-1] >= trial.limit and champion > (1 + min_increase) * other:
        return Concluded(Finding.FAILED, _numbers(trial, since))
    return None


def _stood(trial: Trial, *, drifting: bool) -> Concluded:
    if evidence(-trial.z)[-1] >= trial.limit and not drifting:
        return Concluded(Finding.HELPED, _numbers(trial))
    still = "; performance still drifts" if drifting else ""
    return Concluded(Finding.NO_DIFFERENCE, _numbers(trial) + still)


def _broken(trial: Trial) -> Concluded:
    """A predecessor that cannot score any more is nothing to go back to; a candidate is refused."""
    finding = Finding.BROKEN if trial.role is Role.CANDIDATE else Finding.NO_DIFFERENCE
    return Concluded(finding, f"version {trial.other} could not score: {trial.broken}")


def _numbers(trial: Trial, since: int = 0) -> str:
    champion, other = trial.losses(since)
    pairs = trial.pairs[since:]
    return (
        f"loss {champion:.4g} against {other:.4g} of version {trial.other} "
        f"on the same {sum(pair.rows for pair in pairs)} rows of {len(pairs)} batch{'es' * (len(pairs) > 1)}"
    )

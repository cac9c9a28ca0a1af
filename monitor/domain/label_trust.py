"""Which windows' labels may be learnt from. A state machine: no clock, no I/O, no logging.

When a model loses nearly all that it knew from one window to the next, either the world has changed at a stroke or the
labels are wrong: joined to the wrong rows, in another unit, of another class. Retraining on wrong labels ruins the next
model, and no gate sees it, for the gate's labels are the same ones. So such labels are held and a human is asked. A
change of the world lasts, and nobody may be there to answer: labels held for many windows running are released by
themselves.

Whether the inputs lie still is told to whom is asked, and decides nothing: on recorded streams inputs move every few
windows, and never did that alone take a model's skill away.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Any

_REMEMBERED = 8  # trusted windows that say what is usual
_FEWEST = 3  # of them, before anything can be told
_LEAST_USUAL = 0.1  # a model with less skill has none to lose
_LEFT = 0.1  # of the usual skill
_SURE = 2.0  # standard errors
_ALIKE = 1 / 3  # of the usual spread: with less there is too little to tell labels of one row from another's


class Standing(StrEnum):
    """Of a window's labels; those without one are trusted."""

    HELD = "held"
    RELEASED = "released"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSkill:
    """How well labels and predictions of one window fit: `monitor.stats.skill`, with its standard error.

    `spread`: how much its labels differ among themselves. `moved`: the inputs have changed as well.
    """

    batch: str
    start: datetime
    end: datetime
    rows: int
    skill: float
    error: float
    spread: float
    revision: int  # of the labels
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A window whose labels were doubted, and what became of it. `rows` have a label; `usual` is the skill to expect.

    `revision` is that of the labels when they were last looked at: other labels are another matter.
    """

    batch: str
    start: datetime
    end: datetime
    rows: int
    skill: float | None
    spread: float | None
    usual: float | None
    revision: int
    standing: Standing
    reason: str

    def to_dict(self) -> dict[str, Any]:
        start, end = self.start.isoformat(), self.end.isoformat()
        return {**asdict(self), "start": start, "end": end, "standing": self.standing.value}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Doubt:
        """The inverse of `to_dict`."""
        start, end = (datetime.fromisoformat(plain[name]) for name in ("start", "end"))
        return cls(**{**plain, "start": start, "end": end, "standing": Standing(plain["standing"])})


@dataclass(frozen=True, slots=True)
class Trusted:
    """Of one window that was looked at and not doubted."""

    end: datetime
    batch: str
    skill: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTrust:
    """All that is remembered between two looks; stored as is. `trusted`: the newest windows that say what is usual."""

    trusted: tuple[Trusted, ...] = ()
    doubts: Mapping[str, Doubt] = field(default_factory=dict)  # by batch

    def of(self, standing: Standing) -> tuple[Doubt, ...]:
        """In order of window end."""
        return tuple(sorted((d for d in self.doubts.values() if d.standing is standing), key=_place))

    @property
    def running(self) -> tuple[Doubt, ...]:
        """Windows held since the newest trusted one, in order of window end."""
        newest = max(map(_place, self.trusted), default=None)
        return tuple(doubt for doubt in self.of(Standing.HELD) if newest is None or _place(doubt) > newest)

    def having(self, *doubts: Doubt) -> LabelTrust:
        return replace(self, doubts={**self.doubts, **{doubt.batch: doubt for doubt in doubts}})

    @property
    def withheld(self) -> frozenset[str]:
        """Batches whose labels must not be learnt from."""
        return frozenset(b for b, doubt in self.doubts.items() if doubt.standing is not Standing.RELEASED)

    @property
    def usual(self) -> float | None:
        """The skill to expect; None while too few windows were seen, or the model has none to lose."""
        if len(self.trusted) < _FEWEST:
            return None
        level = median(one.skill for one in self.trusted)
        return level if level >= _LEAST_USUAL else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "trusted": [[one.end.isoformat(), one.batch, one.skill, one.spread] for one in self.trusted],
            "doubts": [doubt.to_dict() for doubt in self.doubts.values()],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LabelTrust:
        """The inverse of `to_dict`."""
        doubts = [Doubt.from_dict(doubt) for doubt in plain["doubts"]]
        return cls(
            trusted=tuple(Trusted(datetime.fromisoformat(end), *rest) for end, *rest in plain["trusted"]),
            doubts={doubt.batch: doubt for doubt in doubts},
        )


def examine(trust: LabelTrust, seen: WindowSkill, *, patience: int) -> tuple[LabelTrust, tuple[Doubt, ...]]:
    """Look at a window whose labels have changed; return what is remembered next, and the doubts that changed.

    `patience`: so many windows held running, with none trusted after the first of them, are a lasting change; 0 holds
    nothing. What was released stays so, whatever labels still come; rejected labels are looked at again when others
    take their place.
    """
    known = trust.doubts.get(seen.batch)
    if patience == 0 or not math.isfinite(seen.skill):
        return trust, ()
    if known is not None and (known.standing is Standing.RELEASED or known.revision == seen.revision):
        return trust, ()
    others = replace(trust, trusted=_without(trust.trusted, (seen.batch,)))
    usual = others.usual if known is None or known.usual is None else known.usual
    if others.trusted and seen.spread < _ALIKE * median(one.spread for one in others.trusted):
        return trust, ()  # labels that are all alike fit any row as well as any other
    if usual is None or not _is_lost(seen, usual):
        return _mended(others, known, seen)
    inputs = "the inputs have moved as well" if seen.moved else "the inputs lie still"
    held = others.having(
        Doubt(
            batch=seen.batch,
            start=seen.start,
            end=seen.end,
            rows=seen.rows,
            skill=seen.skill,
            spread=seen.spread,
            usual=usual,
            revision=seen.revision,
            standing=Standing.HELD,
            reason=f"skill {seen.skill:.2f}, usually {usual:.2f}; {inputs}",
        )
    )
    running = [doubt.batch for doubt in held.running]
    if len(running) >= patience:
        return release(held, running, reason=f"it has lasted for {len(running)} windows")
    return held, (held.doubts[seen.batch],)


def release(trust: LabelTrust, batches: Iterable[str], *, reason: str) -> tuple[LabelTrust, tuple[Doubt, ...]]:
    """Let these windows' labels be learnt from. They say from now on what is usual: what was before has passed."""
    changed = tuple(replace(trust.doubts[b], standing=Standing.RELEASED, reason=reason) for b in batches)
    usual = [
        Trusted(doubt.end, doubt.batch, doubt.skill, doubt.spread)
        for doubt in changed
        if doubt.skill is not None and doubt.spread is not None
    ]
    return replace(trust.having(*changed), trusted=_newest(usual)), changed


def reject(trust: LabelTrust, doubts: Iterable[Doubt], *, reason: str) -> tuple[LabelTrust, tuple[Doubt, ...]]:
    """Never learn from these windows' labels as they are now."""
    changed = tuple(replace(doubt, standing=Standing.REJECTED, reason=reason) for doubt in doubts)
    trusted = _without(trust.trusted, [doubt.batch for doubt in changed])
    return replace(trust.having(*changed), trusted=trusted), changed


def _is_lost(seen: WindowSkill, usual: float) -> bool:
    """Surely less than usual, and maybe next to nothing."""
    return seen.skill + _SURE * seen.error < usual and seen.skill - _SURE * seen.error < _LEFT * usual


def _mended(trust: LabelTrust, known: Doubt | None, seen: WindowSkill) -> tuple[LabelTrust, tuple[Doubt, ...]]:
    """Nothing is wrong with these labels, or no longer."""
    doubts = {batch: doubt for batch, doubt in trust.doubts.items() if batch != seen.batch}
    trusted = _newest((*trust.trusted, Trusted(seen.end, seen.batch, seen.skill, seen.spread)))
    trust = LabelTrust(trusted=trusted, doubts=doubts)
    if known is None:
        return trust, ()
    reason = f"other labels have taken their place: skill {seen.skill:.2f}"
    return trust, (replace(known, standing=Standing.RELEASED, skill=seen.skill, rows=seen.rows, reason=reason),)


def _newest(trusted: Iterable[Trusted]) -> tuple[Trusted, ...]:
    return tuple(sorted(trusted, key=_place)[-_REMEMBERED:])


def _without(trusted: Iterable[Trusted], batches: Collection[str]) -> tuple[Trusted, ...]:
    return tuple(one for one in trusted if one.batch not in batches)


def _place(one: Trusted | Doubt) -> tuple[datetime, str]:
    return one.end, one.batch

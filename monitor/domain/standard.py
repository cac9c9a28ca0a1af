"""What a deployment is held to, whichever version is the champion.

An alarm on performance closes with the promotion that answers it, and the new version is held to what it reached on its
own held-out rows. When everything is worse by then, so is that: a promotion that mends nothing would be its own
standard, and nobody would hear of the damage again. So there is a second standard, which promotions do not move. Pure:
judged windows in, the next state out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from monitor.stats.moments import Moments

WINDOWS = 5  # without an alarm, that say whether performance is back
_SURE = 3.0  # standard errors


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLoss:
    """`loss` on the labelled rows of a judged window, and whether an alarm on performance stands after it.

    `promised` is what its version lost on its held-out rows.
    """

    batch: str
    version: int
    loss: Moments
    promised: Moments
    alarm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """The loss per row that `version` promised, and the standard error of that.

    `proven`: the last version whose windows were up to it, whatever that one promised. `missed_since`: the batch from
    which on performance is known to be worse, empty while it is not. `windows`: rows and mean loss of the last windows
    since then that no alarm stands for, oldest first.
    """

    version: int
    loss: float
    error: float
    proven: int
    missed_since: str = ""
    windows: tuple[tuple[int, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Standard:
        return cls(**{**plain, "windows": tuple((rows, loss) for rows, loss in plain["windows"])})

    @property
    def reached(self) -> float | None:
        """Mean loss per row of `windows`; None without any."""
        rows = sum(rows for rows, _ in self.windows)
        return sum(rows * loss for rows, loss in self.windows) / rows if rows else None

    def restored(self, min_increase: float) -> bool | None:
        """Whether `WINDOWS` windows lose no more than `min_increase` (relative) above the standard; None: too few."""
        if self.reached is None or len(self.windows) < WINDOWS:
            return None
        return self.reached <= (1 + min_increase) * self.loss


def follow(was: Standard | None, seen: WindowLoss, *, min_increase: float) -> Standard:
    """The standard after a judged window; with none yet it is what the window's version has promised.

    It is missed from the first alarm on, or from the first window of a version that surely promises less: more loss by
    `min_increase` (relative) and three standard errors besides. It is met again once `WINDOWS` windows without an alarm
    say so, which counts more than the promise of the version that they are of.
    """
    now = was or Standard(
        version=seen.version, loss=seen.promised.mean, error=_error(seen.promised), proven=seen.version
    )
    if not now.missed_since:
        missed = seen.alarm or (seen.version != now.proven and _promises_less(now, seen, min_increase))
        return replace(now, missed_since=seen.batch) if missed else now
    windows = () if seen.alarm else (*now.windows, (seen.loss.n, seen.loss.mean))
    now = replace(now, windows=windows[-WINDOWS:])
    return replace(now, missed_since="", windows=(), proven=seen.version) if now.restored(min_increase) else now


def _promises_less(standard: Standard, seen: WindowLoss, min_increase: float) -> bool:
    factor = 1 + min_increase
    worse = seen.promised.mean - factor * standard.loss
    return worse > _SURE * math.hypot(_error(seen.promised), factor * standard.error)


def _error(loss: Moments) -> float:
    """Standard error of the mean; of a single row it is anybody's guess."""
    return loss.sd / math.sqrt(loss.n) if loss.n > 1 else math.inf

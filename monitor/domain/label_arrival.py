"""How the labels of a window come in: learnt from the windows that were seen to age, one batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

LAGS = 60  # batches after which a window's labels are followed no longer
_FEWEST = 3  # windows seen at a lag, before it says anything
_QUIET = 5  # lags without labels after which no more are expected
_NEARLY = 0.99  # of all that come
_KEPT = 0.98  # of what is remembered, per batch: about the last fifty count

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Followed:
    """A window that is still followed: its rows, how many of them had a label when `lag` batches had come after it,
    and whether it has matured since.
    """

    rows: int
    labelled: int = 0
    lag: int = 0
    matured: bool = False

    def to_tuple(self) -> tuple[int, int, int, bool]:
        return self.rows, self.labelled, self.lag, self.matured


@dataclass(frozen=True, slots=True, eq=False)
class ArrivalCurve:
    """Sums over windows that were seen when k batches had come after them, each (LAGS,): a commutative monoid.

    `waiting`: rows without a label until then; `came`: those of them that had one by then; `windows`: how many.
    """

    waiting: Array = field(default_factory=lambda: np.zeros(LAGS))
    came: Array = field(default_factory=lambda: np.zeros(LAGS))
    windows: Array = field(default_factory=lambda: np.zeros(LAGS))

    def merge(self, other: ArrivalCurve) -> ArrivalCurve:
        return ArrivalCurve(self.waiting + other.waiting, self.came + other.came, self.windows + other.windows)

    def fading(self) -> ArrivalCurve:
        """With less weight, so that another way of delivering labels is learnt within some fifty batches."""
        return ArrivalCurve(_KEPT * self.waiting, _KEPT * self.came, _KEPT * self.windows)

    @property
    def shares(self) -> Array:
        """Share of a window's rows with a label when k batches have come after it, for the lags seen often enough.

        The product-limit estimate (Kaplan, Meier 1958): windows too young to say more count as far as they go.
        """
        known = int(np.argmin(np.append(self.windows >= _FEWEST * _KEPT**_FEWEST, False)))
        hazard = np.clip(self.came[:known] / np.maximum(self.waiting[:known], 1e-9), 0.0, 1.0)
        shares: Array = 1.0 - np.cumprod(1.0 - hazard, dtype=np.float64)
        return shares

    @property
    def settled(self) -> int | None:
        """The lag by which 99% of all labels that come are there; None while more may still be to come.

        It is known once as many lags again, at least five, were seen to bring nothing more.
        """
        shares = self.shares
        if not shares.size or shares[-1] <= 0:
            return None
        lag = int(np.argmax(shares >= _NEARLY * shares[-1]))
        return lag if shares.size - 1 - lag >= max(_QUIET, lag) else None

    @property
    def reachable(self) -> float:
        """The share of a window's rows that will have a label in the end; 1 until that is known."""
        return float(self.shares[-1]) if self.settled is not None else 1.0

    def to_come(self, lag: int, coverage: float) -> float | None:
        """Share of a window's rows whose label is still to be expected, `lag` batches after it; None: not known.

        Of the rows without a label, so many are given one later as in earlier windows.
        """
        settled = self.settled
        if settled is None:
            return None
        shares = self.shares
        by_now = shares[min(lag, shares.size - 1)]
        left = (shares[-1] - by_now) / (1.0 - by_now) if by_now < 1.0 else 0.0
        return float(max(left, 0.0) * (1.0 - coverage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The curve, and the windows that still add to it."""

    curve: ArrivalCurve = field(default_factory=ArrivalCurve)
    following: Mapping[str, Followed] = field(default_factory=dict)

    def observe(self, batches: Sequence[str], labelled: Mapping[str, int], rows: int) -> Arrivals:
        """A batch has come, the last of `batches` (the newest `LAGS`, in order of window end), with so many `rows`.

        A batch that is not the newest when it comes is not followed: nobody saw it at the lags before.
        """
        waiting, came, windows = np.zeros((3, LAGS))
        following: dict[str, Followed] = {}
        for lag, batch in enumerate(reversed(batches[-LAGS:])):
            one = self.following.get(batch) or (Followed(rows) if lag == 0 else None)
            if one is None:
                continue
            now = labelled.get(batch, 0)
            waiting[lag], came[lag] = one.rows - one.labelled, max(now - one.labelled, 0)
            windows[lag] = 1.0
            following[batch] = Followed(one.rows, now, lag, one.matured)
        return Arrivals(curve=self.curve.fading().merge(ArrivalCurve(waiting, came, windows)), following=following)

    @property
    def to_come(self) -> float | None:
        """Labels still to be expected for all windows that are followed; None: not known."""
        if self.curve.settled is None:
            return None
        shares = [self.curve.to_come(f.lag, f.labelled / f.rows) or 0.0 for f in self.following.values() if f.rows]
        rows = [followed.rows for followed in self.following.values() if followed.rows]
        return float(np.dot(shares, rows))

    def matured(self, batch: str) -> Arrivals:
        """With this window marked as one that has enough labels; it is followed as before."""
        if (one := self.following.get(batch)) is None:
            return self
        return replace(self, following={**self.following, batch: replace(one, matured=True)})

    def to_dict(self) -> dict[str, Any]:
        curve = {name: [round(v, 6) for v in getattr(self.curve, name).tolist()] for name in _SUMS}
        return {"curve": curve, "following": {b: f.to_tuple() for b, f in self.following.items()}}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Arrivals:
        """The inverse of `to_dict`, to six digits."""
        curve = ArrivalCurve(*(np.array(plain["curve"][name]) for name in _SUMS))
        following = {b: Followed(*values) for b, values in plain["following"].items()}
        return cls(curve=curve, following=following)


_SUMS = ("waiting", "came", "windows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """Label rows whose id no collected batch has, or had; `since`: when the first of them arrived."""

    rows: int = 0
    since: datetime | None = None

"""What the error-rate monitor has seen of one model version, as stored: the errors themselves, and its alarm."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from monitor.app.ports import ErrorRate
from monitor.domain.packed import pack, unpack

_FORM, _VERSION = "errors", 1
_MOST = 100_000  # of the newest rows: what is older says nothing that these do not

Errors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorHistory:
    """`errors` (n,) 0 or 1 per labelled row, in the order in which windows matured. `alarm`: why one stands, or "".

    The monitor's own state is not kept: it follows from the errors, and a foreign one could only be stored as a pickle.
    """

    errors: Errors = field(default_factory=lambda: np.zeros(0, np.float32))
    alarm: str = ""

    def after(self, fresh: Errors, monitor: ErrorRate) -> tuple[ErrorHistory, bool]:
        """With the errors of one more window, and whether the rate has risen within it.

        After a rise only the rows since then count: the new rate is the one to compare with.
        """
        seen = monitor.look(self.errors, fresh)
        kept = np.concatenate([self.errors, fresh])[-min(seen.recent, _MOST) :] if seen.recent else fresh[:0]
        if seen.before is None or seen.now <= seen.before:
            return ErrorHistory(kept, self.alarm), False
        alarm = self.alarm or f"the error rate has risen from {seen.before:.3f} to {seen.now:.3f}"
        return ErrorHistory(kept, alarm), True

    def closed(self) -> ErrorHistory:
        """Without its alarm."""
        return replace(self, alarm="")

    def to_bytes(self) -> bytes:
        return pack(_FORM, _VERSION, {"alarm": self.alarm}, {"errors": self.errors})

    @classmethod
    def from_bytes(cls, body: bytes | None) -> ErrorHistory:
        """Empty for None. Raises ArtefactError when the bytes are damaged."""
        if body is None:
            return cls()
        header, arrays = unpack(_FORM, _VERSION, body)
        return cls(arrays["errors"], header["alarm"])

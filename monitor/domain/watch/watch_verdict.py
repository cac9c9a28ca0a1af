"""A channel's verdict with what only the sequential detector can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monitor.domain.verdict import ChannelVerdict, ColumnFinding
from monitor.domain.watch.state_bytes import plain_finding


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchVerdict(ChannelVerdict):
    """`evidence` and `threshold` are in batches: drift needs mean evidence ≥ batches per false alarm.

    `incidents` are columns that were out of line on this one batch: no drift, and a budget of their own.
    `beyond` are columns whose trailing mean is surely beyond `max_distance` from the reference: no event, a state.
    """

    raised: bool = False  # this batch raised the alarm, or widened it
    incidents: tuple[ColumnFinding, ...] = ()
    beyond: tuple[ColumnFinding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        plain = ChannelVerdict.to_dict(self)
        findings = {name: [plain_finding(f) for f in getattr(self, name)] for name in ("incidents", "beyond")}
        return {**plain, **findings}

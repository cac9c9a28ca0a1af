"""What a channel's data say about a batch. Thresholds are applied here and nowhere below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any


class Channel(StrEnum):
    """What is watched."""

    INPUTS = "inputs"
    PREDICTIONS = "predictions"
    LABELS = "labels"  # the class prior
    PERFORMANCE = "performance"


class Verdict(StrEnum):
    """`insufficient_data` is not `ok`: nothing was judged."""

    OK = "ok"
    DRIFT = "drift"
    BAD_DATA = "bad_data"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFinding:
    """One column that moved: by how much (AUC scale or share), and since which window end."""

    name: str
    measure: str
    shift: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    since: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "since": self.since and self.since.isoformat()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ColumnFinding:
        """The inverse of `to_dict`."""
        return cls(**{**plain, "since": plain["since"] and datetime.fromisoformat(plain["since"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelVerdict:
    """Verdict on one channel of one batch.

    `evidence` and `threshold` are in the rule's own unit; drift needs evidence ≥ threshold. `distance` is how far
    the channel is from the training reference, on the AUC scale. `None` stands for "not measured".

    Under the rule `budget` evidence and threshold are in batches: drift needs mean evidence ≥ batches per false alarm,
    and stands until it is acknowledged. `incidents` are columns out of line on this one batch: no drift, and a budget
    of their own. `beyond` are columns whose trailing mean is surely beyond `max_distance`: no event, a state.
    """

    channel: Channel
    verdict: Verdict
    reason: str
    evidence: float | None = None
    threshold: float | None = None
    shift: float | None = None
    distance: float | None = None
    columns: tuple[ColumnFinding, ...] = ()
    raised: bool = False  # this batch raised the alarm, or widened it
    incidents: tuple[ColumnFinding, ...] = ()
    beyond: tuple[ColumnFinding, ...] = ()
    alarms: int | None = None  # raised on this channel since the deployment began, and the batches judged:
    judged: int | None = None  # the achieved rate, to hold beside the promised one

    def to_dict(self) -> dict[str, Any]:
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "channel"}
        findings = {kind: [finding.to_dict() for finding in getattr(self, kind)] for kind in _FINDINGS}
        return {**plain, "verdict": self.verdict.value, **findings}

    @classmethod
    def from_dict(cls, channel: Channel, plain: Mapping[str, Any]) -> ChannelVerdict:
        """The inverse of `to_dict`."""
        findings = {kind: tuple(ColumnFinding.from_dict(finding) for finding in plain[kind]) for kind in _FINDINGS}
        return cls(channel=channel, **{**plain, "verdict": Verdict(plain["verdict"]), **findings})


_FINDINGS = ("columns", "incidents", "beyond")

"""What a channel's data say about a batch. Thresholds are applied here and nowhere below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelVerdict:
    """Verdict on one channel of one batch.

    `evidence` and `threshold` are in the rule's own unit; drift needs evidence ≥ threshold. `distance` is how far
    the channel is from the training reference, on the AUC scale. `None` stands for "not measured".
    """

    channel: Channel
    verdict: Verdict
    reason: str
    evidence: float | None = None
    threshold: float | None = None
    shift: float | None = None
    distance: float | None = None
    columns: tuple[ColumnFinding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        del plain["channel"]
        for column in plain["columns"]:
            column["since"] = column["since"] and column["since"].isoformat()
        return {**plain, "verdict": self.verdict.value, "columns": list(plain["columns"])}

    @classmethod
    def from_dict(cls, channel: Channel, plain: Mapping[str, Any]) -> ChannelVerdict:
        """The inverse of `to_dict`."""
        columns = tuple(
            ColumnFinding(**{**c, "since": c["since"] and datetime.fromisoformat(c["since"])}) for c in plain["columns"]
        )
        return cls(channel=channel, **{**plain, "verdict": Verdict(plain["verdict"]), "columns": columns})

"""The history record: one batch, what was seen and what was decided. Users read it as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from monitor.domain.batch import Window
from monitor.domain.control import Control
from monitor.domain.shift import Shift
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Of one window, in the deployment's metric. `labels_coverage` is the share of its rows with a label.

    `matured`: these are enough of them to judge it. `labels`: held, released or rejected, when they were doubted.
    `selection_p_value`: that the labelled rows are like the others by chance; `selected_by` names what tells them apart
    when that is improbable, and `weighted` is then the metric with each labelled row weighted for those like it.
    `low` and `high` are the interval of `realised`. `estimated` is from before the labels, under `assumption`, with the
    interval of what was to be realised; it stays as it was when they have come. `calibration_p_value`: that the
    probabilities it rests on are as often right as they say, by the labels.
    `raw`: of the model's own scores, where scores corrected for the class shares were served; `corrected`: of corrected
    ones that were not.
    """

    realised: float | None = None
    low: float | None = None
    high: float | None = None
    estimated: float | None = None
    estimated_low: float | None = None
    estimated_high: float | None = None
    assumption: str | None = None  # see `domain.performance_estimate`
    labels_coverage: float = 0.0
    matured: bool = False
    labels: str | None = None
    calibration_p_value: float | None = None
    selection_p_value: float | None = None
    selected_by: tuple[str, ...] = ()
    weighted: float | None = None
    raw: float | None = None
    corrected: float | None = None
    control: Control | None = None  # of windows with enough labelled rows of either kind


@dataclass(frozen=True, slots=True)
class SegmentEstimate:
    """Of the rows of a batch that have one level of a segment column."""

    rows: int
    estimated: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShare:
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """Everything that is kept about a judged batch, except its measures."""

    deployment: str
    batch: str
    fingerprint: str
    window: Window
    rows: int
    quarantined: int  # rows
    model_version: int | None
    verdicts: Mapping[Channel, ChannelVerdict]
    decision: str
    decision_reason: str
    rejected: Mapping[str, int] = field(default_factory=dict)  # rows in quarantine by reason (`RowReason`)
    performance: Performance = field(default_factory=Performance)
    performance_segments: Mapping[str, Mapping[str, SegmentEstimate]] = field(default_factory=dict)  # by column, level
    label_prior: Mapping[str, ClassShare] = field(default_factory=dict)
    label_fit: float | None = None  # p-value that the scores fit these shares; small: not label shift alone
    prior_corrected: bool = False  # the scores that were served are corrected for these shares
    labels_revision: int = 0  # state of the labels that `performance` was computed from
    shift: Shift | None = None  # while an alarm stands: its type, the evidence, and what is responsible
    notes: tuple[str, ...] = ()  # what is worth knowing and harmed nothing: ignored columns, clipped estimates
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst over the channels: bad data before drift before insufficient data before ok."""
        seen = {v.verdict for v in self.verdicts.values()}
        order = (Verdict.BAD_DATA, Verdict.DRIFT, Verdict.OK, Verdict.INSUFFICIENT_DATA)
        return next((v for v in order if v in seen), Verdict.INSUFFICIENT_DATA)

    def to_dict(self) -> dict[str, Any]:
        """The public form (design §5), plain JSON values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "window"}
        return {
            **plain,
            "rejected": dict(self.rejected),
            "performance": asdict(self.performance),
            "performance_segments": {
                column: {level: asdict(one) for level, one in levels.items()}
                for column, levels in self.performance_segments.items()
            },
            "label_prior": {name: asdict(share) for name, share in self.label_prior.items()},
            "window_start": self.window.start.isoformat(),
            "window_end": self.window.end.isoformat(),
            "verdicts": {channel.value: verdict.to_dict() for channel, verdict in self.verdicts.items()},
            "shift": self.shift and self.shift.to_dict(),
            "notes": list(self.notes),
            "seconds": {stage: round(s, 4) for stage, s in self.seconds.items()},
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> BatchRecord:
        """The inverse of `to_dict`."""
        plain = dict(plain)
        start, end = (datetime.fromisoformat(plain.pop(name)) for name in ("window_start", "window_end"))
        seen = plain["performance"]
        control = seen["control"]
        verdicts = {Channel(name): ChannelVerdict.from_dict(Channel(name), v) for name, v in plain["verdicts"].items()}
        return cls(
            **{
                **plain,
                "window": Window(start, end),
                "verdicts": verdicts,
                "performance": Performance(
                    **{
                        **seen,
                        "selected_by": tuple(seen["selected_by"]),
                        "control": control and Control.from_dict(control),
                    }
                ),
                "performance_segments": {
                    column: {level: SegmentEstimate(**seen) for level, seen in levels.items()}
                    for column, levels in plain["performance_segments"].items()
                },
                "label_prior": {name: ClassShare(**share) for name, share in plain["label_prior"].items()},
                "shift": Shift.from_dict(plain["shift"]) if plain["shift"] else None,
                "notes": tuple(plain["notes"]),
            }
        )

"""Whether scores corrected for the class shares are worth serving: what the labels say so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitor.domain.label_trust import Standing
from monitor.stats.performance import higher_is_better

LOOK_BACK: Final = 50  # records; labels that come later than that say nothing about now
_WINDOWS = 5  # the newest that have both: a correction that was right for one shift need not be for the next


def correction_helps(records: Sequence[Mapping[str, Any]], version: int, metric: str) -> bool:
    """On the newest windows of this version that were scored in both ways, whichever of them was served.

    The correction assumes that nothing but the class shares has moved, and no check of inputs and scores alone can be
    sure of that. Until labels have come for such a window it is taken at its word.
    """
    gains = [gain for record in records if record["model_version"] == version for gain in _gain(record)]
    return sum(gains[-_WINDOWS:]) >= 0 if higher_is_better(metric) else sum(gains[-_WINDOWS:]) <= 0


def _gain(record: Mapping[str, Any]) -> Sequence[float]:
    """By which the metric is larger with the correction, times the labelled rows.

    Nothing where one of both is not known, or the labels are held: they may be wrong.
    """
    seen = record["performance"]
    served, raw, corrected = seen["realised"], seen["raw"], seen["corrected"]
    if served is None or (raw is None and corrected is None) or seen["labels"] == Standing.HELD:
        return ()
    rows = record["rows"] * seen["labels_coverage"]
    return (rows * (served - raw if raw is not None else corrected - served),)

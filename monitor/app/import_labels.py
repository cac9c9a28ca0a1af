"""Labels from a file that an operator points at, whatever folder the deployment watches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.app.champion import ensure_champion
from monitor.app.intake import enter_labels
from monitor.app.join_labels import refuse_delivery, stage_delivery
from monitor.app.restate import restate_windows
from monitor.app.runtime import Runtime
from monitor.domain.batch import DeliveryState
from monitor.domain.model import Progress
from monitor.errors import DataError, SourceError


def import_labels(rt: Runtime, file: Path, progress: Progress) -> dict[str, Any]:
    """Stage the file's labels, join what is due now, restate the windows; returns what became of the rows.

    The same content again changes nothing. Raises DataError for a file that holds no labels, SourceError when it
    cannot be read, ConfigError for a deployment without labels.
    """
    source = rt.open_labels(file)
    found = source.deliveries()
    if not found:
        raise SourceError(f"{file}: no such file, or not one of labels (.parquet, .csv, .jsonl)")
    delivery = replace(found[0], name=f"imported/{file.stem}")
    champion = ensure_champion(rt, progress)
    entry = enter_labels(rt, source, delivery)
    if entry.state in (DeliveryState.DONE, DeliveryState.DUPLICATE):
        return {"rows": 0, "rejected": 0, "windows": 0, "note": entry.reason or "these labels were imported before"}
    if entry.state is DeliveryState.BAD:
        raise DataError(entry.reason)
    now = rt.clock()
    try:
        validated = stage_delivery(rt, source, delivery, entry, now=now)
    except DataError as exc:
        refuse_delivery(rt, entry, exc, now=now)
        raise
    counts, windows = restate_windows(rt, champion, now)
    return {
        "rows": validated.rows.num_rows,
        "rejected": validated.rejected.num_rows,
        "joined": counts.joined,
        "corrected": counts.corrected,
        "duplicate": counts.duplicate,
        "pending": rt.book.pending,
        "windows": windows,
        "note": "; ".join(validated.notes),
    }

"""Labels from a file that an operator points at, whatever folder the deployment watches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.app.champion import ensure_champion
from monitor.app.intake import enter_labels
from monitor.app.join_labels import restate_windows, stage_delivery
from monitor.app.runtime import Runtime
from monitor.domain.batch import Delivery, DeliveryState
from monitor.domain.model import Progress
from monitor.errors import ConfigError, SourceError


def import_labels(rt: Runtime, file: Path, progress: Progress) -> dict[str, Any]:
    """Stage the file's labels, join what is due now, restate the windows; returns what became of the rows.

    The same content again changes nothing. Raises DataError for a file that holds no labels, SourceError when it
    cannot be read, ConfigError for a deployment without labels.
    """
    if rt.labels is None:
        raise ConfigError(f"{rt.name}: the deployment has no `labels` section")
    try:
        stat = file.stat()
    except OSError as exc:
        raise SourceError(f"{file}: {exc.strerror}") from exc
    delivery = Delivery(
        locator=str(file.resolve()),
        name=f"imported/{file.stem}",
        size=stat.st_size,
        modified=datetime.fromtimestamp(stat.st_mtime, UTC),
    )
    champion = ensure_champion(rt, progress)
    entry = enter_labels(rt, rt.labels, delivery)
    if entry.state in (DeliveryState.DONE, DeliveryState.DUPLICATE):
        return {"rows": 0, "rejected": 0, "windows": 0, "note": entry.reason or "these labels were imported before"}
    now = rt.clock()
    validated = stage_delivery(rt, rt.labels, delivery, entry, now=now)
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

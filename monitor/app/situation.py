"""What is known beside labelled rows when an attempt is made, for the candidates that ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.app.judge import NO_FIT
from monitor.app.runtime import Runtime
from monitor.domain.verdict import Verdict
from monitor.errors import StoreError

_CURRENT_BATCHES = 7
_CURRENT_ROWS = 10_000
_RECORDS = 30  # far enough back for the window of which performance was judged last


def current_rows(rt: Runtime, file: Path) -> Path | None:
    """Write the features of the newest batches, whether labels have come or not; None when nothing was collected.

    Of seven batches, and of the newest 10,000 rows.
    """
    features = list(rt.schema.features)
    newest = rt.collected.batches(_CURRENT_BATCHES)
    parts = [rt.collected.read(batch).select(features) for batch in newest]
    if not sum(part.num_rows for part in parts):
        return None
    rows = pa.concat_tables(parts, promote_options="permissive")
    try:
        pq.write_table(rows.slice(max(0, rows.num_rows - _CURRENT_ROWS)).unify_dictionaries(), file)
    except OSError as exc:
        raise StoreError(f"{file}: the current rows cannot be written: {exc}; is the disk full?") from exc
    return file


def estimated_prior(rt: Runtime) -> Mapping[str, float]:
    """Shares of the classes as estimated from the newest batch that could be judged.

    Empty without an estimate, and when the scores say that something else than the labels has shifted.
    """
    for record in reversed(rt.store.records(rt.name, last=_RECORDS)):
        if record["label_prior"]:
            doubtful = record["label_fit"] is not None and record["label_fit"] < NO_FIT
            return {} if doubtful else {name: each["share"] for name, each in record["label_prior"].items()}
    return {}


def newest_change(rt: Runtime) -> datetime | None:
    """When the newest change began of those whose alarm stands, as far back as the last records tell."""
    found: dict[str, datetime | None] = {}
    for record in rt.store.records(rt.name, last=_RECORDS):
        for channel, verdict in record["verdicts"].items():
            if verdict["verdict"] == Verdict.INSUFFICIENT_DATA:
                continue
            since = [each["since"] for each in verdict["columns"] if each["since"]]
            standing = verdict["verdict"] == Verdict.DRIFT and since
            found[channel] = datetime.fromisoformat(max(since)) if standing else None
    return max((at for at in found.values() if at is not None), default=None)

"""The measures of a judged batch: taken when somebody asks, of the rows that are kept, and kept when those expire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitor.app.runtime import Runtime
from monitor.app.scores_in import own_scores
from monitor.domain.measures import Measures
from monitor.domain.verdict import Channel
from monitor.errors import MonitorError


def measures_of(rt: Runtime, record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that `detect.measures` names now, column by column; once the rows have expired, those that it named then.

    Empty for a batch that no model has scored. No lease is needed. Raises ArtefactError for a damaged reference,
    StoreError when rows or store cannot be read.
    """
    if record["model_version"] is None:
        return []
    rows = rt.stored_rows(record["batch"], datetime.fromisoformat(record["window_start"]))
    if rows is None:
        return [*rt.store.measures(rt.name, record["batch"])]
    reference = rt.reference(record["model_version"])
    profiles = reference.profiles(rows, own_scores(rows, reference.classes))
    return plain_measures(reference.compare(profiles, rt.config.detect.measures))


def keep_measures(rt: Runtime, batches: Sequence[str]) -> None:
    """Store the measures of batches whose rows are about to go; rows that cannot be measured go all the same."""
    for batch in batches:
        record = rt.store.record(rt.name, batch)
        if record is None:
            continue
        try:
            found = measures_of(rt, record)
        except (MonitorError, LookupError) as exc:
            rt.log.warning("measures_lost", deployment=rt.name, batch=batch, error=str(exc))
            continue
        with rt.transaction() as tx:
            tx.put_measures(rt.name, batch, found)


def plain_measures(found: Mapping[Channel, Measures]) -> list[Mapping[str, Any]]:
    """As they are stored and shown."""
    return [{"channel": channel.value, **one.to_dict()} for channel, measures in found.items() for one in measures]

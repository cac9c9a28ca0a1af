"""Held-out rows must not be known from training: not by id, and not by coming before what was trained on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitor.adapters.training_rows import TrainingRows, origin_of
from monitor.domain.gate import Check, Finding
from monitor.errors import DataError

_MOST_LATE = 0.1  # of the held-out rows; deliveries overlap a little


def check_leakage(training: TrainingRows, held_out: TrainingRows) -> Check:
    """Raises DataError when an id is in both, or when more than 10% of the held-out rows are older than the newest
    training row. Without ids or timestamps in the schema that part is not looked at.
    """
    _no_common_ids(training, held_out)
    late = _late_share(training, held_out)
    return Check(
        name="leakage",
        finding=Finding.PASSED,
        candidate=late,
        limit=None if late is None else _MOST_LATE,
        rows=len(held_out),
        detail="no held-out id was trained on"
        + ("" if late is None else f"; {late:.1%} of the held-out rows are older than the newest training row"),
    )


def _no_common_ids(training: TrainingRows, held_out: TrainingRows) -> None:
    name = training.schema.id
    if name is None:
        return
    ids = held_out.table.column(name)
    known = pc.is_in(ids, value_set=pa.chunked_array(training.table.column(name)).combine_chunks())
    if count := pc.sum(known).as_py():
        first = pc.index(known, True).as_py()
        which = "an id" if name in training.schema.private else f"id {ids[first].as_py()!r}"
        where = pc.index(training.table.column(name), ids[first]).as_py()
        raise DataError(
            f"{count} of {len(ids)} held-out rows were also trained on: {which} is in "
            f"{origin_of(training, where)} and in {origin_of(held_out, first)}; the comparison would mean nothing. "
            "Leave rows that come as batches out of training.path",
            column=name,
        )


def _late_share(training: TrainingRows, held_out: TrainingRows) -> float | None:
    before, after = training.times(), held_out.times()
    if before is None or after is None:
        return None
    newest = int(np.argmax(before))
    share = float((after < before[newest]).mean())
    if share > _MOST_LATE:
        raise DataError(
            f"{share:.0%} of the held-out rows are older than the newest training row, "
            f"row {newest + 1} of {origin_of(training, newest)}, {before[newest]}: what is held out must come last",
            column=training.schema.timestamp,
        )
    return share

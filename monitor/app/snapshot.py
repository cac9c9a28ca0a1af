"""The labelled rows a training run sees: the training file's, then every collected row whose label has come."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitor.app.label_memory import LabelMemory
from monitor.app.runtime import Runtime
from monitor.domain.anchor import is_anchor
from monitor.domain.schema import Schema
from monitor.domain.score_columns import PREFIXES
from monitor.domain.version import Lineage
from monitor.errors import StoreError

ANCHOR_FILE = "anchor"  # the origin of rows of `gate.anchor.path`
TRAINING_FILE = "training"  # the origin of rows of `training.path`; no batch is called so: batches are files


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`file` is Parquet, oldest row first; `rows` that may be trained on; `collected` counts them per batch.

    `unseen` counts those of the batches after the last one that the champion was fitted or chosen on, oldest first.
    """

    file: Path
    rows: int
    collected: Mapping[str, int]
    unseen: tuple[int, ...] = ()

    @property
    def new_rows(self) -> int:
        return sum(self.collected.values())


def take_first_snapshot(rt: Runtime, file: Path) -> Snapshot:
    """Write the training file's rows alone: with no champion, nothing was collected yet."""
    anchor = _anchor_part(rt)
    return _write(file, [*anchor, *_training_part(rt, {}, _ids(rt, anchor))], {})


def take_snapshot(rt: Runtime, file: Path, *, lineage: Lineage, since: datetime | None = None) -> Snapshot:
    """Write the training file's rows and all collected ones with a label that is not held or rejected, by window.

    `since` leaves out batches whose window ended before it, and earlier rows of the training file; without a timestamp
    column, all of the file. They count as collected nevertheless.

    `lineage` is the champion's: it names the origins that it was fitted on. A batch counts as fitted as a whole, also
    when some of its labels came later: comparing the champion on too few rows is safe, comparing it on rows it knows is
    not.
    """
    label, fitted = rt.schema.label.name if rt.schema.label else "", lineage.batches
    anchor = _anchor_part(rt)
    known = _ids(rt, anchor)
    parts = [*anchor, *(_later(part, rt.schema, since) for part in _training_part(rt, fitted, known))]
    collected: dict[str, int] = {}
    for batch in LabelMemory.load(rt.kept, rt.name).usable(rt.book.labelled_rows()):
        rows = _without(_labelled(rt, batch, label), rt.schema.id, known)
        collected[batch] = rows.num_rows
        if since is None or rt.collected.window(batch).end >= since:
            parts.append(_marked(_ordered(rows, rt.schema), batch, fitted))
    return replace(_write(file, parts, collected), unseen=_unseen(collected, {*fitted, *lineage.chosen_on}))


def _unseen(collected: Mapping[str, int], seen: Set[str]) -> tuple[int, ...]:
    last = max((place for place, batch in enumerate(collected) if batch in seen), default=-1)
    return tuple(collected.values())[last + 1 :]


def _later(rows: pa.Table, schema: Schema, since: datetime | None) -> pa.Table:
    if since is None:
        return rows
    if schema.timestamp is None:
        return rows.slice(0, 0)
    return rows.filter(pc.greater_equal(rows.column(schema.timestamp), pa.scalar(since, pa.timestamp("us", tz="UTC"))))


def _training_part(rt: Runtime, fitted: Mapping[str, int], known: pa.Array) -> list[pa.Table]:
    training = rt.config.training
    if training is None:
        return []
    rows = _without(rt.read_labelled(training.path, "training.path"), rt.schema.id, known)
    marked = _marked(_ordered(rows, rt.schema), TRAINING_FILE, fitted)
    share = rt.config.gate.anchor.share
    if share == 0 or rt.schema.id is None:
        return [marked]
    anchor = pa.array(is_anchor(marked.column(rt.schema.id).to_pylist(), share))
    return [marked.set_column(marked.column_names.index("_anchor"), "_anchor", anchor)]


def _anchor_part(rt: Runtime) -> list[pa.Table]:
    """The rows of the anchor file, if there is one: in the snapshot first, and nowhere else."""
    path = rt.config.gate.anchor.path
    if path is None:
        return []
    return [_marked(_ordered(rt.read_labelled(path, "gate.anchor.path"), rt.schema), ANCHOR_FILE, {}, anchor=True)]


def _ids(rt: Runtime, parts: list[pa.Table]) -> pa.Array:
    columns = [part.column(rt.schema.id).cast(pa.string()) for part in parts if rt.schema.id]
    return pa.chunked_array(columns, pa.string()).combine_chunks()


def _without(rows: pa.Table, id_column: str | None, known: pa.Array) -> pa.Table:
    """Without the rows that the anchor holds."""
    if id_column is None or len(known) == 0:
        return rows
    return rows.filter(pc.invert(pc.is_in(rows.column(id_column), value_set=known)))


def _write(file: Path, parts: list[pa.Table], collected: Mapping[str, int]) -> Snapshot:
    if not parts:
        return Snapshot(file=file, rows=0, collected=collected)
    columns = parts[0].column_names
    table = pa.concat_tables([part.select(columns) for part in parts], promote_options="permissive")
    try:
        pq.write_table(table.unify_dictionaries(), file, compression="zstd")
    except OSError as exc:
        raise StoreError(f"{file}: the training rows cannot be written: {exc}; is the disk full?") from exc
    anchored = pc.sum(table.column("_anchor")).as_py() or 0
    return Snapshot(file=file, rows=table.num_rows - anchored, collected=collected)


def _labelled(rt: Runtime, batch: str, label: str) -> pa.Table:
    """The batch's rows that have a label, with the label as a column, without scores."""
    rows, labels = rt.collected.read(batch), rt.book.labels(batch)
    id_column = rt.schema.id or ""
    at = pc.index_in(labels.column("id"), value_set=rows.column(id_column).combine_chunks())
    features = [name for name in rows.column_names if not name.startswith(PREFIXES)]
    return rows.select(features).take(at).append_column(label, labels.column("label"))


def _ordered(rows: pa.Table, schema: Schema) -> pa.Table:
    return rows.sort_by(schema.timestamp) if schema.timestamp else rows


def _marked(rows: pa.Table, origin: str, fitted: Mapping[str, int], *, anchor: bool = False) -> pa.Table:
    n = rows.num_rows
    rows = rows.append_column("_anchor", pa.array([anchor] * n, pa.bool_()))
    rows = rows.append_column("_origin", pa.array([origin] * n, pa.string()))
    return rows.append_column("_fitted", pa.array([origin in fitted] * n, pa.bool_()))

"""While an alarm stands: which type of shift it is, and which features, segments and rows are most responsible.

The rows since the change are held against those that the champion was held out on. The cost is bounded whatever the
size of batches: at most 20 of them and 50,000 rows are read, at most 5,000 are compared as rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from monitor.app.restate import Restating
from monitor.app.scores_in import own_scores
from monitor.domain.labels import class_codes
from monitor.domain.model import Scores
from monitor.domain.schema import Schema
from monitor.domain.shift import MOST_ROWS, RowRatio, Shift, largest_features, responsible_segments
from monitor.domain.shift_kind import KindRule, shift_kind
from monitor.domain.verdict import Verdict
from monitor.stats.multivariate.classifier import ClassifierShift
from monitor.stats.shift_evidence import Compared, Labelled, gather

_MOST_BATCHES = 20
_MOST_READ = 50_000  # rows
_MOST_COMPARED = 5_000  # rows
_FEWEST_COMPARED = 500  # of a very wide table
_MOST_CELLS = 2_000_000  # encoded numbers on each side


@dataclass(frozen=True, slots=True, eq=False)
class _Trailing:
    """Rows since the change, the oldest batch first: all with a label in `seen`, and a sample with features."""

    batches: int
    sample: pa.Table
    batch_of: tuple[str, ...]  # the batch of each row of the sample
    scores: Scores
    seen: Labelled


def explain_shift(restating: Restating, record: Mapping[str, Any]) -> Shift | None:
    """None while no alarm stands. `record` is that of the batch at hand; the same data give the same answer."""
    champion, config = restating.champion, restating.rt.config
    if not restating.memory.drifting:
        return None
    held_out = champion.reference.held_out
    width = max(held_out.groups.size, 1)
    most = max(_FEWEST_COMPARED, min(_MOST_COMPARED, _MOST_CELLS // width))
    rows = _trailing(restating, _since_change(restating, record), most)
    encoded, reference = held_out.encode(rows.sample), held_out.features
    told = reference.any(axis=0) | encoded.any(axis=0) | (np.diff(held_out.groups, prepend=-1) > 0)
    step = max(1, -(-reference.shape[0] * width // (2 * _MOST_CELLS)))
    before = Labelled(held_out.scores[::step].astype(np.float64), held_out.target[::step])
    compared = Compared(
        reference[::step, told], before, encoded[:, told], rows.scores, rows.seen, held_out.groups[told]
    )
    evidence, found = gather(
        compared, champion.reference.label_shift, np.random.default_rng(crc32(record["fingerprint"].encode()))
    )
    kind, reason = shift_kind(
        evidence, KindRule(min_effect=config.detect.min_effect, min_loss_increase=config.detect.min_loss_increase)
    )
    return Shift(
        kind=kind,
        reason=reason,
        evidence=evidence,
        batches=rows.batches,
        rows=rows.sample.num_rows,
        features=largest_features(held_out.names, found.shares),
        segments=_segments(rows, found, restating.rt.schema.segments),
        most_unlike=_most_unlike(rows, found, restating.rt.schema),
    )


def _since_change(restating: Restating, record: Mapping[str, Any]) -> list[str]:
    """Batches of this version from the one on that raised an alarm that still stands, the oldest first."""
    recent = [*restating.rt.store.records(restating.rt.name, last=_MOST_BATCHES - 1), record]
    mine = [restating.records.get(r["batch"], r) for r in recent if r["model_version"] == restating.champion.version]
    first = min(_raised_at(mine, channel.value) for channel in restating.memory.drifting)
    return [r["batch"] for r in mine[first:] if r["batch"] in restating.rt.collected]


def _raised_at(records: Sequence[Mapping[str, Any]], channel: str) -> int:
    """Place of the first of the drifting records at the end; records that were not judged are passed over."""
    first = len(records) - 1
    for place in range(len(records) - 1, -1, -1):
        verdict = records[place]["verdicts"].get(channel, {}).get("verdict")
        if verdict == Verdict.OK:
            break
        if verdict == Verdict.DRIFT:
            first = place
    return first


def _trailing(restating: Restating, batches: Sequence[str], most: int) -> _Trailing:
    rt, classes = restating.rt, restating.champion.bundle.manifest.classes
    usable = restating.labels.usable(rt.book.labelled_rows())
    tables: list[tuple[str, pa.Table]] = []
    read = 0
    for batch in reversed(batches):  # the newest ones, when they are too many
        if read and read + tables[0][1].num_rows > _MOST_READ:
            break
        tables.insert(0, (batch, rt.collected.read(batch)))
        read += tables[0][1].num_rows
    step = max(1, -(-read // most))
    features = [*rt.schema.features, rt.schema.id or ""]
    samples = [table.select(features)[::step] for _, table in tables]
    scores = [own_scores(table, classes) for _, table in tables]
    labelled = [
        _labelled(table, own, rt.book.labels(batch), rt.schema.id or "", classes)
        for (batch, table), own in zip(tables, scores, strict=True)
        if batch in usable
    ]
    nothing = Labelled(scores[0][:0], np.zeros(0, dtype=np.int64 if classes else np.float64))
    return _Trailing(
        batches=len(tables),
        sample=pa.concat_tables(samples, promote_options="permissive").unify_dictionaries(),
        batch_of=tuple(name for (name, _), part in zip(tables, samples, strict=True) for _ in range(part.num_rows)),
        scores=np.concatenate([own[::step] for own in scores]),
        seen=Labelled(
            np.concatenate([nothing.scores, *(part.scores for part in labelled)]),
            np.concatenate([nothing.target, *(part.target for part in labelled)]),
        ),
    )


def _labelled(table: pa.Table, scores: Scores, labels: pa.Table, id_column: str, classes: Sequence[str]) -> Labelled:
    ids = table.column(id_column).combine_chunks()
    at = pc.index_in(labels.column("id").combine_chunks(), value_set=ids).to_numpy(zero_copy_only=False)
    column = labels.column("label")
    target: npt.NDArray[Any] = class_codes(column.to_pylist(), classes) if classes else column.to_numpy()
    return Labelled(scores[at], target)


def _segments(rows: _Trailing, found: ClassifierShift, columns: Sequence[str]) -> Any:
    values = {name: rows.sample.column(name).cast(pa.string()).to_pylist() for name in columns}
    return responsible_segments(values, found.current)


def _most_unlike(rows: _Trailing, found: ClassifierShift, schema: Schema) -> tuple[RowRatio, ...]:
    """Rows that are more common now than they were, the most so first; none where nobody is to see their ids."""
    if schema.id in schema.private:
        return ()
    ids = rows.sample.column(schema.id or "").cast(pa.string())
    order = np.argsort(-found.current, kind="stable")[:MOST_ROWS]
    return tuple(
        RowRatio(batch=rows.batch_of[i], id=ids[i].as_py(), ratio=float(found.current[i]))
        for i in order.tolist()
        if found.current[i] > 1
    )

"""The life of one batch: read, validate, score, collect, judge, decide, record.

Nothing counts before the one transaction at the end; a crash earlier leaves the ledger entry to be claimed again, and
the files written so far are replaced or discarded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from monitor.app.decide_next import decide_next
from monitor.app.intake import Waiting
from monitor.app.join_labels import Restated, restate
from monitor.app.judge import Judged, judge_batch
from monitor.app.memory import DetectorMemory, RetrainMemory
from monitor.app.ports import Validated
from monitor.app.runtime import Champion, Runtime
from monitor.app.stopwatch import Stopwatch
from monitor.domain.batch import DeliveryState
from monitor.domain.model import Scores
from monitor.domain.policy import Decided
from monitor.domain.quarantine import RowReason
from monitor.domain.record import BatchRecord
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict
from monitor.errors import BusyError, DataError


@dataclass(slots=True, kw_only=True)
class _Check:
    """A batch on its way through the stages."""

    item: Waiting
    champion: Champion
    watch: Stopwatch = field(default_factory=Stopwatch)
    validated: Validated | None = None
    scores: Scores | None = None
    judged: Judged | None = None
    problem: ChannelVerdict | None = None  # why it could not be judged

    @property
    def batch(self) -> str:
        return self.item.entry.name


def check_batch(rt: Runtime, item: Waiting, champion: Champion, *, now: datetime) -> BatchRecord:
    """Judge one batch and record it. Raises ModelError, SourceError or StoreError, and has then recorded nothing."""
    rt.renew()
    until = now + rt.config.model.timeout + rt.config.retrain.timeout
    if not rt.store.claim(item.entry.id, owner=rt.owner, until=until):
        raise BusyError(f"{rt.name}: batch {item.entry.name} is claimed by another process")
    check = _Check(item=item, champion=champion)
    detector = DetectorMemory.load(rt.store, rt.name, champion.version)
    _read(rt, check, now)
    if check.problem is None:
        _score(rt, check)
        with check.watch.stage("detect"):
            rows, scores = _scored(check)
            check.judged = judge_batch(champion, rows, scores, rt.config.detect, detector)
    return _record(rt, check, check.judged.memory if check.judged else detector)


def _read(rt: Runtime, check: _Check, now: datetime) -> None:
    """Fill in `validated`, or `problem` when nothing of it can be judged."""
    try:
        with check.watch.stage("read"):
            validated = rt.batches.read(check.item.delivery, now=now)
    except DataError as exc:
        check.problem = _cannot(Verdict.BAD_DATA, str(exc))
        return
    with check.watch.stage("validate"):
        check.validated = validated = _without_known_ids(rt, check.batch, validated)
        rt.collected.quarantine(check.batch, validated.rejected)
    good, bad = validated.rows.num_rows, validated.rejected.num_rows
    limit = rt.config.batches.max_bad_share
    if bad > limit * (good + bad):
        check.problem = _cannot(Verdict.BAD_DATA, f"{bad} of {good + bad} rows rejected: {_reasons(validated)}")
    elif good == 0:
        check.problem = _cannot(Verdict.INSUFFICIENT_DATA, "no rows")


def _score(rt: Runtime, check: _Check) -> None:
    rows = check.validated.rows if check.validated else pa.table({})
    with check.watch.stage("score"):
        check.scores = rt.scorer.score(check.champion.bundle, rows)
    with check.watch.stage("collect"):
        classes = check.champion.bundle.manifest.classes
        rt.collected.write(check.batch, check.item.window, rows, check.scores, classes)


def _record(rt: Runtime, check: _Check, detector: DetectorMemory) -> BatchRecord:
    """Join labels, decide, and write everything in one transaction."""
    end = check.item.window.end
    clock = max(end, rt.latest) if rt.latest else end
    record = _draft(rt, check)
    with check.watch.stage("labels"):
        restated = restate(rt, clock, check.champion, detector, current=record.to_dict())
    memory = RetrainMemory.load(rt.store, rt.name)
    window_rows = check.champion.bundle.manifest.window_rows
    judged = check.problem is None
    memory, decided = decide_next(rt, memory, restated.memory, now=clock, judged=judged, window_rows=window_rows)
    with check.watch.stage("record"):
        plain = _finished(restated, check, decided)
        _write(rt, check, plain, restated=restated, memory=memory, decided=decided, clock=clock)
    rt.latest = clock
    rt.revisions.update(restated.revisions)
    return BatchRecord.from_dict(plain)


def _draft(rt: Runtime, check: _Check) -> BatchRecord:
    validated, problem = check.validated, check.problem
    verdicts = check.judged.verdicts if check.judged else {}
    if problem is not None:
        verdicts = {c: ChannelVerdict(channel=c, verdict=problem.verdict, reason=problem.reason) for c in _JUDGED_NOW}
    waiting = ChannelVerdict(
        channel=Channel.PERFORMANCE, verdict=Verdict.INSUFFICIENT_DATA, reason="labels have not come yet"
    )
    return BatchRecord(
        deployment=rt.name,
        batch=check.batch,
        fingerprint=check.item.entry.fingerprint,
        window=check.item.window,
        rows=validated.rows.num_rows if validated else 0,
        quarantined=validated.rejected.num_rows if validated else 0,
        model_version=check.champion.version if check.scores is not None else None,
        verdicts={**verdicts, Channel.PERFORMANCE: waiting},
        decision="",
        decision_reason="",
        label_prior=check.judged.label_prior if check.judged else {},
        notes=(*validated.notes, *_rejections(validated)) if validated else (),
    )


_JUDGED_NOW = (Channel.INPUTS, Channel.PREDICTIONS, Channel.LABELS)


def _finished(restated: Restated, check: _Check, decided: Decided) -> dict[str, object]:
    """The batch's own record, with what its labels say if they were there already."""
    plain = dict(restated.records[check.batch])
    plain["decision"], plain["decision_reason"] = decided.decision.value, decided.reason
    plain["seconds"] = {stage: round(s, 4) for stage, s in check.watch.seconds.items()}
    return plain


def _write(
    rt: Runtime,
    check: _Check,
    plain: Mapping[str, object],
    *,
    restated: Restated,
    memory: RetrainMemory,
    decided: Decided,
    clock: datetime,
) -> None:
    bad = check.problem is not None and check.problem.verdict is Verdict.BAD_DATA
    state, reason = (DeliveryState.BAD, check.problem.reason) if bad and check.problem else (DeliveryState.DONE, "")
    with rt.store.transaction() as tx:
        tx.put_record(rt.name, check.batch, plain)
        for batch, record in restated.records.items():
            if batch != check.batch:
                tx.put_record(rt.name, batch, record)
        if check.judged:
            measures = [
                {"channel": channel.value, **measure.to_dict()}
                for channel, measured in check.judged.measures.items()
                for measure in measured
            ]
            tx.put_measures(rt.name, check.batch, measures)
        restated.memory.save(tx, rt.name, check.champion.version)
        memory.save(tx, rt.name)
        body = {"decision": decided.decision.value, "reason": decided.reason, "batch": check.batch}
        tx.add_event(rt.name, clock, "decision", body)
        if bad:
            tx.add_event(rt.name, clock, "delivery_bad", {"delivery": check.batch, "reason": reason})
        tx.finish(check.item.entry.id, state, reason=reason, window=check.item.window)


def _without_known_ids(rt: Runtime, batch: str, validated: Validated) -> Validated:
    """Reject rows whose id another collected batch already holds: a row is scored and counted once."""
    rows = validated.rows
    ids = rows.column(rt.schema.id or "")
    known = rt.collected.duplicates(batch, ids.combine_chunks())
    if not known:
        return validated
    keep = pa.array([position not in known for position in range(rows.num_rows)])
    rejected = pa.Table.from_pylist(
        [
            {
                "row": position + 1,
                "column": rt.schema.id,
                "reason": RowReason.DUPLICATE_ID.value,
                "detail": f"id {ids[position].as_py()!r} is already in batch {other!r}",
                "content": json.dumps(_content(rows, position), default=str),
            }
            for position, other in known.items()
        ],
        schema=validated.rejected.schema,
    )
    return Validated(
        rows=rows.filter(keep), rejected=pa.concat_tables([validated.rejected, rejected]), notes=validated.notes
    )


def _content(rows: pa.Table, position: int) -> dict[str, object]:
    return dict(rows.slice(position, 1).to_pylist()[0])


def _rejections(validated: Validated) -> tuple[str, ...]:
    return (f"quarantined: {_reasons(validated)}",) if validated.rejected.num_rows else ()


def _reasons(validated: Validated) -> str:
    counts = validated.rejected.column("reason").value_counts().to_pylist()
    first = validated.rejected.slice(0, 1).to_pylist()[0]
    listed = ", ".join(f"{c['values']} ×{c['counts']}" for c in counts)
    return f"{listed}; first: column {first['column']!r}, row {first['row']}: {first['detail']}"


def _scored(check: _Check) -> tuple[pa.Table, Scores]:
    if check.validated is None or check.scores is None:
        raise LookupError("a batch is judged after it was scored")
    return check.validated.rows, check.scores


def _cannot(verdict: Verdict, reason: str) -> ChannelVerdict:
    return ChannelVerdict(channel=Channel.INPUTS, verdict=verdict, reason=reason)

"""The life of one batch: read, validate, score, collect, judge, decide, record.

Nothing counts before the one transaction at the end; a crash earlier leaves the ledger entry to be claimed again, and
the files written so far are replaced or discarded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from monitor.app.correction import LOOK_BACK, correction_helps
from monitor.app.decide_next import decide_next
from monitor.app.estimate_performance import Expected, estimate_performance
from monitor.app.explain_shift import explain_shift
from monitor.app.intake import Waiting
from monitor.app.journal import BAD_DATA
from monitor.app.judge import NO_FIT, Judged, LabelsSeen, judge_batch, see_labels
from monitor.app.measures_of import plain_measures
from monitor.app.memory import DetectorMemory, RetrainMemory
from monitor.app.ports import Transaction, Validated
from monitor.app.restate import Restating
from monitor.app.runtime import Champion, Runtime
from monitor.app.stopwatch import Stopwatch
from monitor.app.trial_state import save_trial
from monitor.app.trials import compare_matured, running_trial, said_of, score_beside
from monitor.domain.batch import DeliveryState
from monitor.domain.model import Scores
from monitor.domain.private import WITHHELD
from monitor.domain.quarantine import RowReason
from monitor.domain.record import BatchRecord
from monitor.domain.score_columns import CORRECTED, RAW
from monitor.domain.trial import Trial
from monitor.domain.verdict import Channel, ChannelVerdict, Verdict
from monitor.errors import BusyError, DataError

_NOTHING = Validated(rows=pa.table({}), rejected=pa.table({}))


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a batch cannot be judged."""

    verdict: Verdict
    reason: str


def check_batch(rt: Runtime, item: Waiting, champion: Champion, *, now: datetime) -> BatchRecord:
    """Judge one batch and record it. Raises ModelError, SourceError or StoreError, and has then recorded nothing."""
    if not rt.store.claim(item.entry.id, owner=rt.leases.owner, until=rt.clock() + rt.leases.length):
        raise BusyError(f"{rt.name}: batch {item.entry.name} is claimed by another process")
    watch = Stopwatch()
    detector, trial = DetectorMemory.load(rt.kept, rt.name, champion.version), running_trial(rt, champion)
    validated, problem = _read(rt, item, watch, now)
    seen: Judged | _Problem
    if problem is not None:
        seen = problem
    else:
        with watch.stage("score_beside"):
            trial, beside = score_beside(rt, trial, item.entry.name, validated.rows, champion)
        seen = _score_and_judge(rt, item, champion, validated, watch=watch, detector=detector, beside=beside)
    draft = _draft(rt, item, champion, validated, seen)
    return _record(rt, item, champion, draft, seen=seen, watch=watch, detector=detector, trial=trial)


def _read(rt: Runtime, item: Waiting, watch: Stopwatch, now: datetime) -> tuple[Validated, _Problem | None]:
    try:
        with watch.stage("read"):
            validated = rt.batches.read(item.delivery, now=now)
    except DataError as exc:
        return _NOTHING, _Problem(Verdict.BAD_DATA, str(exc))
    with watch.stage("validate"):
        validated = _without_known_ids(rt, item.entry.name, validated)
        rt.collected.quarantine(item.entry.name, validated.rejected)
    good, bad = validated.rows.num_rows, validated.rejected.num_rows
    if bad > rt.config.batches.max_bad_share * (good + bad):
        return validated, _Problem(Verdict.BAD_DATA, f"{bad} of {good + bad} rows rejected: {_reasons(validated)}")
    if good == 0:
        return validated, _Problem(Verdict.INSUFFICIENT_DATA, "no rows")
    return validated, None


def _score_and_judge(
    rt: Runtime,
    item: Waiting,
    champion: Champion,
    validated: Validated,
    *,
    watch: Stopwatch,
    detector: DetectorMemory,
    beside: Mapping[str, Scores],
) -> Judged:
    """`beside`: scores of a version on trial, which are only kept."""
    with watch.stage("score"):
        scores = rt.scorer.score(champion.bundle, validated.rows)
        labels = see_labels(champion.reference, scores, rt.config.predictions.shares)
    served, others = _served(rt, champion, scores, labels)
    corrected = RAW in others
    with watch.stage("collect"):
        classes = champion.bundle.manifest.classes
        rt.collected.write(item.entry.name, item.window, validated.rows, served, classes, beside={**others, **beside})
    if corrected != rt.corrects:
        rt.corrects = corrected
        rt.log.info("prior_correction", deployment=rt.name, batch=item.entry.name, corrected=corrected)
    with watch.stage("detect"):
        judged = judge_batch(
            champion, validated.rows, scores, detector, labels=labels, config=rt.config, window=item.window
        )
    with watch.stage("estimate"):
        expected = estimate_performance(
            champion,
            validated.rows,
            scores=scores,
            served=served,
            shares=None if labels is None else labels.shares,
            metric=rt.config.performance.metric,
            schema=rt.schema,
        )
    return replace(judged, corrected=corrected, expected=expected)


def _served(
    rt: Runtime, champion: Champion, scores: Scores, labels: LabelsSeen | None
) -> tuple[Scores, dict[str, Scores]]:
    """The scores that count as the model's answer, and what is written beside them."""
    if labels is None or labels.corrected is None:
        return scores, {}
    if not rt.config.predictions.correct_prior:
        return scores, {CORRECTED: labels.corrected}
    records = rt.store.records(rt.name, last=LOOK_BACK)
    if correction_helps(records, champion.version, rt.config.performance.metric):
        return labels.corrected, {RAW: scores}
    return scores, {CORRECTED: labels.corrected}


def _draft(
    rt: Runtime, item: Waiting, champion: Champion, validated: Validated, seen: Judged | _Problem
) -> BatchRecord:
    """The record as far as it is known before labels and decision."""
    expected = Expected()
    if isinstance(seen, Judged):
        verdicts, prior, fit, expected = dict(seen.verdicts), seen.label_prior, seen.label_fit, seen.expected
    else:
        at_once = (Channel.INPUTS, Channel.PREDICTIONS, *((Channel.LABELS,) if champion.reference.label_shift else ()))
        verdicts = {c: ChannelVerdict(channel=c, verdict=seen.verdict, reason=seen.reason) for c in at_once}
        prior, fit = {}, None
    verdicts[Channel.PERFORMANCE] = ChannelVerdict(
        channel=Channel.PERFORMANCE, verdict=Verdict.INSUFFICIENT_DATA, reason="labels have not come yet"
    )
    rejections = (f"quarantined: {_reasons(validated)}",) if validated.rejected.num_rows else ()
    return BatchRecord(
        deployment=rt.name,
        batch=item.entry.name,
        fingerprint=item.entry.fingerprint,
        window=item.window,
        rows=validated.rows.num_rows,
        quarantined=validated.rejected.num_rows,
        rejected=_by_reason(validated),
        model_version=champion.version if isinstance(seen, Judged) else None,
        verdicts=verdicts,
        decision="",
        decision_reason="",
        performance=expected.performance,
        performance_segments=expected.segments,
        label_prior=prior,
        label_fit=fit,
        prior_corrected=isinstance(seen, Judged) and seen.corrected,
        notes=(*validated.notes, *rejections, *_doubt(fit)),
    )


def _doubt(fit: float | None) -> tuple[str, ...]:
    if fit is None or fit >= NO_FIT:
        return ()
    return (f"the estimated class shares mean little: the scores do not fit a shift of the labels alone (p {fit:.1g})",)


def _record(
    rt: Runtime,
    item: Waiting,
    champion: Champion,
    draft: BatchRecord,
    *,
    seen: Judged | _Problem,
    watch: Stopwatch,
    detector: DetectorMemory,
    trial: Trial | None,
) -> BatchRecord:
    """Join the labels that are due, decide, and write everything in one transaction."""
    clock, judged = rt.latest or item.window.end, isinstance(seen, Judged)
    if isinstance(seen, Judged):  # what cannot be judged may have no true place in event time: it moves no clock
        clock, detector = max(clock, item.window.end), seen.memory
    with watch.stage("labels"):
        restating = Restating.begin(rt, champion, detector)
        restating.join(clock, current=draft.to_dict())
        trial = compare_matured(rt, trial, champion)
    memory, decided = decide_next(
        rt,
        RetrainMemory.load(rt.kept, rt.name),
        restating.memory,
        restating.labels,
        trial,
        now=clock,
        judged=judged,
        window_rows=champion.bundle.manifest.window_rows,
    )
    with watch.stage("explain"):
        shift = explain_shift(restating, restating.records[draft.batch]) if judged else None
    record = BatchRecord.from_dict(restating.records[draft.batch])
    record = replace(
        record,
        shift=shift,
        notes=(*record.notes, *said_of(rt, trial, restating.memory)),
        decision=decided.decision.value,
        decision_reason=decided.reason,
        seconds=watch.seconds,
    )
    with rt.transaction() as tx:
        for batch, restated in {**restating.records, draft.batch: record.to_dict()}.items():
            tx.put_record(rt.name, batch, restated)
        if isinstance(seen, Judged) and rt.config.detect.export:
            tx.put_measures(rt.name, draft.batch, plain_measures(seen.exported))
        restating.save(tx, clock)
        memory.save(tx, rt.name)
        save_trial(tx, rt.name, trial)
        body = {"decision": decided.decision.value, "reason": decided.reason, "batch": draft.batch}
        tx.add_event(rt.name, clock, "decision", body)
        _settle(rt, tx, item, seen)
    rt.settled(item.entry)
    if judged:
        rt.latest = clock
    restating.announce()
    if isinstance(seen, _Problem) and seen.verdict is Verdict.BAD_DATA:
        rt.log.warning(BAD_DATA, deployment=rt.name, batch=draft.batch, reason=seen.reason)
    verdicts = {channel.value: verdict.verdict.value for channel, verdict in record.verdicts.items()}
    rt.log.info("decision", deployment=rt.name, version=record.model_version, verdicts=verdicts, **body)
    return record


def _settle(rt: Runtime, tx: Transaction, item: Waiting, seen: Judged | _Problem) -> None:
    if isinstance(seen, _Problem) and seen.verdict is Verdict.BAD_DATA:
        tx.finish(item.entry.id, DeliveryState.BAD, reason=seen.reason, window=item.window)
        tx.add_event(rt.name, rt.clock(), BAD_DATA, {"batch": item.entry.name, "reason": seen.reason})
    else:
        tx.finish(item.entry.id, DeliveryState.DONE, window=item.window)


def _without_known_ids(rt: Runtime, batch: str, validated: Validated) -> Validated:
    """Reject rows whose id another collected batch already holds: a row is scored and counted once."""
    rows = validated.rows
    ids = rows.column(rt.schema.id or "")
    known = rt.collected.duplicates(batch, ids.combine_chunks())
    if not known:
        return validated
    keep = pa.array([position not in known for position in range(rows.num_rows)])
    row_numbers, private = _row_numbers(validated), rt.schema.id in rt.schema.private
    rejected = pa.Table.from_pylist(
        [
            {
                "row": row_numbers[position],
                "column": rt.schema.id,
                "reason": RowReason.DUPLICATE_ID.value,
                "detail": WITHHELD if private else f"id {ids[position].as_py()!r} is already in batch {other!r}",
                "content": json.dumps(rows.slice(position, 1).to_pylist()[0], default=str),
            }
            for position, other in known.items()
        ],
        schema=validated.rejected.schema,
    )
    return replace(validated, rows=rows.filter(keep), rejected=pa.concat_tables([validated.rejected, rejected]))


def _row_numbers(validated: Validated) -> list[int]:
    """Numbers in the file, from 1, of the rows that passed: all those that were not rejected."""
    total = validated.rows.num_rows + validated.rejected.num_rows
    rejected = set(validated.rejected.column("row").to_pylist())
    return [number for number in range(1, total + 1) if number not in rejected]


def _by_reason(validated: Validated) -> dict[str, int]:
    """How many rows were rejected for each reason."""
    if not validated.rejected.num_rows:
        return {}
    return {c["values"]: c["counts"] for c in validated.rejected.column("reason").value_counts().to_pylist()}


def _reasons(validated: Validated) -> str:
    first = validated.rejected.slice(0, 1).to_pylist()[0]
    listed = ", ".join(f"{reason} ×{rows}" for reason, rows in _by_reason(validated).items())
    return f"{listed}; first: column {first['column']!r}, row {first['row']}: {first['detail']}"

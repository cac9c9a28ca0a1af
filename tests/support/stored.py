"""A store as a deployment's past has left it, without having lived through it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monitor.adapters.store.sql_store import SqlStore
from monitor.app.label_memory import LabelMemory
from monitor.config.deployment import Deployment
from monitor.domain.batch import Delivery, DeliveryKind, DeliveryState, LedgerEntry, Window
from monitor.domain.control import Control, Side
from monitor.domain.record import BatchRecord, ClassShare, Performance, SegmentEstimate
from monitor.domain.verdict import Channel, ChannelVerdict, ColumnFinding, Verdict
from monitor.domain.version import Alias, AliasMove, Lineage, Manifest

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
ESTIMATED = Performance(estimated=0.78, estimated_low=0.7, estimated_high=0.86, assumption="label_shift")
SEGMENTS = {"day": {"Mon": SegmentEstimate(60, 0.8, 0.7, 0.9), "Tue": SegmentEstimate(40, None, None, None)}}

CONTROL = Control(
    served=Side(rows=80, metric=0.7, labels={"DOWN": 0.4, "UP": 0.6}),
    control=Side(rows=20, metric=0.65, labels={"DOWN": 0.5, "UP": 0.5}),
    p_value=0.4,
    parted=False,
)


def open_store(folder: Path) -> SqlStore:
    return SqlStore(f"sqlite:///{folder / 'monitor.db'}")


def deployment(name: str = "prices", **changes: Any) -> Deployment:
    plain: dict[str, Any] = {
        "name": name,
        "model": {"code": "models/model.py"},
        "schema": {
            "id": "row_id",
            "label": {"name": "y", "kind": "binary", "positive": "UP"},
            "features": {"price": "numeric", "day": "categorical"},
        },
        "batches": {"path": "incoming/*.parquet"},
        "labels": {"path": "labels/*.parquet", "matured_at": 0.8},
        "schedule": {"every": "5m"},
        "performance": {"metric": "accuracy", "floor": 0.6},
    }
    return Deployment.model_validate({**plain, **changes})


def record(k: int, *, deployment: str = "prices", **changes: Any) -> BatchRecord:
    """The batch of day k: all ok, 100 rows, no labels yet; `changes` replaces fields."""
    verdicts = {channel: seen(channel, Verdict.OK) for channel in (Channel.INPUTS, Channel.PREDICTIONS, Channel.LABELS)}
    verdicts[Channel.PERFORMANCE] = seen(Channel.PERFORMANCE, Verdict.INSUFFICIENT_DATA)
    plain: dict[str, Any] = {
        "deployment": deployment,
        "batch": f"day_{k:03d}",
        "fingerprint": f"f{k}",
        "window": Window(FIRST + k * DAY, FIRST + (k + 1) * DAY),
        "rows": 100,
        "quarantined": 0,
        "model_version": 1,
        "verdicts": verdicts,
        "decision": "idle",
        "decision_reason": "20 of 500 new labelled rows",
        "label_fit": 0.4,
        "label_prior": {
            "DOWN": ClassShare(share=0.4, low=0.3, high=0.5),
            "UP": ClassShare(share=0.6, low=0.5, high=0.7),
        },
        "seconds": {"read": 0.01, "score": 0.02},
    }
    return BatchRecord(**{**plain, **changes})


def seen(channel: Channel, verdict: Verdict, *columns: ColumnFinding, reason: str = "as expected") -> ChannelVerdict:
    judged = verdict in (Verdict.OK, Verdict.DRIFT)
    return ChannelVerdict(
        channel=channel,
        verdict=verdict,
        reason=reason,
        evidence=(9.0 if verdict is Verdict.DRIFT else 1.0) if judged else None,
        threshold=3.0 if judged else None,
        distance=0.05 if judged else None,
        columns=columns,
        alarms=int(verdict is Verdict.DRIFT) if judged else None,
        judged=1 if judged else None,
    )


def matured(value: float, coverage: float = 1.0) -> Performance:
    return Performance(
        realised=value,
        low=value - 0.05,
        high=value + 0.05,
        labels_coverage=coverage,
        matured=coverage >= 0.8,
        calibration_p_value=0.3,
        selection_p_value=1e-4 if coverage < 1 else None,
        selected_by=("price",) if coverage < 1 else (),
        weighted=value - 0.1 if coverage < 1 else None,
        control=CONTROL,
    )


def manifest(version: int = 1, *, deployment: str = "prices", **changes: Any) -> Manifest:
    plain: dict[str, Any] = {
        "deployment": deployment,
        "version": version,
        "created": FIRST - DAY,
        "origin": "initial",
        "schema_fingerprint": "0123456789abcdef",
        "code": "models/model.py",
        "code_hash": "c" * 64,
        "params": {"hidden": [64, 32]},
        "seed": 0,
        "classes": ("DOWN", "UP"),
        "window_rows": 800,
        "lineage": Lineage(
            rows=800, batches={"training.parquet": 800}, rows_digest="d" * 16, first=FIRST, last=FIRST + DAY
        ),
        "held_out_rows": 160,
        "metrics": {"accuracy": 0.9, "log_loss": 0.3},
    }
    return Manifest(**{**plain, **changes})


def put(store: SqlStore, *records: BatchRecord) -> None:
    """Insert, or replace those of the same batch."""
    with store.transaction() as tx:
        for one in records:
            tx.put_record(one.deployment, one.batch, one.to_dict())


def put_arrivals(store: SqlStore, *, batches: int, deployment: str = "prices", rows: int = 100) -> None:
    """As many batches have come, and the labels of each with the next one."""
    memory = LabelMemory()
    names = [f"day_{k:03d}" for k in range(batches)]
    for k, name in enumerate(names):
        memory = memory.observed(names[: k + 1], dict.fromkeys(names[:k], rows), name, rows)
    with store.transaction() as tx:
        memory.save(tx, deployment)


def put_champion(store: SqlStore, new: Manifest, *, at: datetime = FIRST, reason: str = "first model") -> None:
    previous = store.alias(new.deployment, Alias.CHAMPION)
    with store.transaction() as tx:
        tx.add_version(new)
        tx.move_alias(
            new.deployment,
            AliasMove(alias=Alias.CHAMPION, version=new.version, previous=previous, at=at, reason=reason),
        )


def put_attempt(
    store: SqlStore,
    at: datetime,
    outcome: str,
    *,
    deployment: str = "prices",
    trigger: str = "change",
    dry_run: bool = False,
) -> None:
    body = {"outcome": outcome, "reason": f"it was a {outcome}", "trigger": trigger, "dry_run": dry_run}
    with store.transaction() as tx:
        tx.add_event(deployment, at, "attempt", body)


def see(
    store: SqlStore, kind: DeliveryKind, name: str, arrived: datetime, *, deployment: str = "prices"
) -> LedgerEntry:
    delivery = Delivery(locator=f"/in/{name}", name=name, size=1, modified=arrived)
    return store.see(deployment, kind, delivery, f"content of {name}")


def settle(store: SqlStore, entry: LedgerEntry, state: DeliveryState = DeliveryState.DONE) -> None:
    with store.transaction() as tx:
        tx.finish(entry.id, state)

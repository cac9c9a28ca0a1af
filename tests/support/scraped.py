"""What a scrape of the collector says of the deployment `prices`, and records that make it say something."""

from __future__ import annotations

from typing import Any

from monitor.adapters.metrics.collector import StoreCollector, registry_of
from monitor.adapters.store.sql_store import SqlStore
from monitor.app.daemon import Health
from monitor.domain.record import BatchRecord
from monitor.domain.verdict import Channel, ColumnFinding, Verdict
from tests.support import stored

PRICES = {"deployment": "prices"}


def collector_of(store: SqlStore, *names: str, health: Health | None = None, **changes: Any) -> StoreCollector:
    deployments = {name: stored.deployment(name, **changes) for name in names or ("prices",)}
    return StoreCollector(store, deployments, lambda _: health or Health())


def value(collector: StoreCollector, name: str, **labels: str) -> float | None:
    return registry_of(collector).get_sample_value(name, {**PRICES, **labels})


def drifting(k: int, shifts: dict[str, float]) -> BatchRecord:
    columns = [
        ColumnFinding(name=name, measure="location", shift=shift, low=shift - 0.02, high=shift + 0.03)
        for name, shift in shifts.items()
    ]
    usual = stored.record(k).verdicts
    return stored.record(
        k, verdicts={**usual, Channel.INPUTS: stored.seen(Channel.INPUTS, Verdict.DRIFT, *columns)}, decision="watch"
    )

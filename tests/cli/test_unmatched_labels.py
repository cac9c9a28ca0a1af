"""Labels whose ids no batch has: `monitor status` and the metrics say so until their batch comes."""

from __future__ import annotations

from datetime import datetime

from monitor.adapters.metrics.collector import StoreCollector, registry_of
from monitor.adapters.store.sql_store import SqlStore
from monitor.app.daemon import Health
from monitor.config.reading import load_deployments, load_settings
from monitor.domain.batch import DeliveryKind
from tests.cli.conftest import Monitor
from tests.support.project import Project


def test_they_are_told_of_with_their_number_and_age_until_their_batch_comes(monitor: Monitor, fresh: Project):
    store = SqlStore(load_settings(fresh.config).store_url)
    scraped = registry_of(StoreCollector(store, load_deployments(fresh.config), lambda _: Health()))

    def told() -> tuple[dict, str, float | None, float | None]:
        (status,) = monitor("-c", fresh.config, "status", "--json").json
        text = " ".join(monitor("-c", fresh.config, "status").out.split())
        rows, since = (
            scraped.get_sample_value(f"monitor_labels_unmatched_{what}", {"deployment": "tiny"})
            for what in ("rows", "since_timestamp_seconds")
        )
        return status["labels"], text, rows, since

    fresh.add_batch()
    assert monitor("-c", fresh.config, "once").code == 0
    labels, text, rows, since = told()
    assert (labels["unmatched_rows"], labels["unmatched_since"], rows, since) == (0, None, 0.0, None)
    assert "such an id" not in text

    awaited = fresh.next_rows()
    fresh.write(fresh.labels / "early.parquet", awaited.select(["row_id", "y"]))
    assert monitor("-c", fresh.config, "once").code == 0
    (entry,) = (e for e in store.entries("tiny", DeliveryKind.LABELS) if e.name == "early")
    labels, text, rows, since = told()
    assert (labels["unmatched_rows"], rows) == (120, 120.0)
    assert datetime.fromisoformat(labels["unmatched_since"]) == entry.modified
    assert since == entry.modified.timestamp()
    assert f"120 label rows waiting for a batch with such an id, since {entry.modified:%Y-%m-%d %H:%M}" in text

    fresh.write_batch(awaited, labels=False)
    assert monitor("-c", fresh.config, "once").code == 0
    labels, text, rows, since = told()
    assert (labels["unmatched_rows"], labels["unmatched_since"], rows, since) == (0, None, 0.0, None)
    store.close()

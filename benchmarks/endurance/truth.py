"""What must hold whatever happened: everything delivered is there once, and as an undisturbed run has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.endurance.fleet import Fleet
from monitor.adapters.atomic_files import TEMPORARY_SUFFIX
from monitor.adapters.store.sql_store import SqlStore
from monitor.app.runtime import Runtime
from monitor.bootstrap import Application, open_application
from monitor.domain.batch import DeliveryKind
from monitor.domain.model_reference import ModelReference
from monitor.domain.version import Alias

_OF_THE_CLOCK = "seconds"  # key of a record: how long its stages took


def check_history(store: SqlStore, fleet: Fleet) -> None:
    """At any moment: no batch is recorded twice, none before an earlier one, none that never came."""
    for name in fleet.names:
        recorded = [record["batch"] for record in store.records(name)]
        expected = list(fleet.batches(name))[: len(recorded)]
        assert recorded == expected, f"{name}: the history is {recorded}, expected {expected}"


def settle(fleet: Fleet) -> dict[str, Any]:
    """Let one pass finish what is left, hold it to the promises, and return what can be compared with another run."""
    with open_application(fleet.config) as app:
        app.once()
        left = [str(path) for path in (fleet.folder / "var").rglob(f".*{TEMPORARY_SUFFIX}")]
        assert not left, f"partial files stay: {left}"
        return {name: _settled(app, fleet, name) for name in fleet.names}


def _settled(app: Application, fleet: Fleet, name: str) -> dict[str, Any]:
    runtime, store, batches = app.runtime(name), app.store, list(fleet.batches(name))
    records = store.records(name)
    assert [record["batch"] for record in records] == batches, f"{name}: not every batch is recorded once"
    with runtime.working():
        assert list(runtime.collected.batches()) == batches, f"{name}: not every batch is collected once"
        assert runtime.book.pending == 0, f"{name}: labels wait for rows"
        labelled = dict(runtime.book.labelled_rows())
        assert labelled == dict.fromkeys(batches, fleet.rows), f"{name}: labels are missing or too many"
        _check_versions(runtime)
    return {
        "records": [{k: v for k, v in record.items() if k != _OF_THE_CLOCK} for record in records],
        "ledger": [_entry(entry) for kind in DeliveryKind for entry in store.entries(name, kind)],
        "versions": [move.version for move in store.alias_history(name, Alias.CHAMPION)],
    }


def _entry(entry: Any) -> tuple[Any, ...]:
    window = entry.window and (entry.window.start, entry.window.end)
    return (entry.kind, entry.locator, entry.fingerprint, entry.name, entry.size, entry.state, entry.reason, window)


def _check_versions(runtime: Runtime) -> None:
    """Each is what was saved, scores rows, and has a folder; there are no other folders."""
    manifests = runtime.store.manifests(runtime.name)
    rows = runtime.collected.read(runtime.collected.batches()[-1]).select(["row_id", "at", *runtime.schema.features])
    for manifest in manifests:
        bundle = runtime.artefacts.verify(manifest)
        ModelReference.from_bytes((bundle.folder / "reference.safetensors").read_bytes())
        assert len(runtime.scorer.score(bundle, rows)) == rows.num_rows
    folder: Path = runtime.artefacts.folder(1).parent
    kept = {runtime.artefacts.folder(manifest.version).name for manifest in manifests}
    strangers = {entry.name for entry in folder.iterdir()} - kept
    assert not strangers, f"{folder}: {strangers} belong to no version"

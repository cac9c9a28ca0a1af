"""`Trainer` in a child process with limits. The work itself is in `training_child`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from monitor.adapters.artefacts import check_files
from monitor.adapters.child_process import ChildProcess, Limits
from monitor.app.ports import ModelBundle, TrainingJob, TrainingResult
from monitor.domain.gate import Check, Outcome
from monitor.errors import ArtefactError, ModelError


class ChildTrainer:
    """`threads` is for the numerical libraries; scoring goes on beside it on the same machine."""

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads

    def train(self, job: TrainingJob, progress: Callable[[float, str], None]) -> TrainingResult:
        """Train, compare and, for `promote`, leave the new version's files in `job.staging`; otherwise nothing.

        `extra` holds what a version's lineage needs: `code_hash`, `origins` (rows of the final fit per `_origin`),
        `rows_digest`, `first` and `last` (timestamps or None), or, of an earlier version that comes back, `chosen_on`
        (held-out rows per `_origin`); and `peak_memory_bytes`. Raises ModelError; rows that cannot be trained on are
        one, too.
        """
        promoted = False
        try:
            result = self._run(job, progress)
            promoted = result.outcome == Outcome.PROMOTE
        finally:
            if not promoted:
                shutil.rmtree(job.staging, ignore_errors=True)
        return result

    def _run(self, job: TrainingJob, progress: Callable[[float, str], None]) -> TrainingResult:
        if job.champion is not None:
            check_files(job.champion.folder, job.champion.manifest)
        child = ChildProcess(
            "monitor.adapters.training_child",
            what=f"training {job.code}",
            threads=self._threads,
            private=bool(job.schema["private"]),
        )
        try:
            child.limit(
                Limits(
                    seconds=job.timeout.total_seconds(),
                    memory=job.memory,
                    seconds_key="retrain.timeout",
                    memory_key="retrain.memory",
                )
            )
            child.send(_order(job))
            while True:
                message, _ = child.receive()
                if "progress" in message:
                    progress(*message["progress"])
                elif "error" in message:
                    kind = ArtefactError if message["error"] == ArtefactError.__name__ else ModelError
                    raise kind(f"{child.what}: {message['text']}")
                else:
                    return _result(message, child.peak_memory_bytes)
        finally:
            child.end()


def _order(job: TrainingJob) -> dict[str, Any]:
    """The job as JSON; `training_child` reads it."""
    champion = job.champion
    return {
        "staging": str(job.staging),
        "snapshot": str(job.snapshot),
        "code": str(job.code),
        "params": dict(job.params),
        "schema": dict(job.schema),
        "seed": job.seed,
        "held_out": job.held_out,
        "window_rows": job.window_rows,
        "candidates": list(job.candidates),
        "selections": {name: str(file) for name, file in job.selections.items()},
        "min_class_rows": job.min_class_rows,
        "current": job.current and str(job.current),
        "prior": dict(job.prior),
        "change": job.change and job.change.isoformat(),
        "record": dict(job.record),
        "gate": asdict(job.gate),
        "metric": job.metric,
        "champion": champion and {"folder": str(champion.folder), "classes": list(champion.manifest.classes)},
        "earlier": [_earlier(version) for version in job.earlier],
        "trust": list(job.trust),
    }


def _earlier(version: ModelBundle) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "version": manifest.version,
        "folder": str(version.folder),
        "classes": list(manifest.classes),
        "rows": manifest.lineage.rows,
        "fitted": list(manifest.lineage.batches),
    }


def _result(message: dict[str, Any], peak_memory_bytes: int) -> TrainingResult:
    extra = {**message["extra"], "peak_memory_bytes": peak_memory_bytes}
    for name in ("first", "last"):
        if extra.get(name):
            extra[name] = datetime.fromisoformat(extra[name])
    read = {
        "classes": tuple(message["classes"]),
        "intervals": {name: (low, high) for name, (low, high) in message["intervals"].items()},
        "checks": tuple(Check.from_dict(check) for check in message["checks"]),
        "extra": extra,
    }
    return TrainingResult(**{**message, **read})

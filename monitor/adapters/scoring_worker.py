"""`Scorer` in a child process: whatever the model's code does, the daemon goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pyarrow as pa

from monitor.adapters.artefacts import check_files
from monitor.adapters.child_process import ChildProcess, Limits
from monitor.app.ports import ModelBundle
from monitor.domain.model import Scores
from monitor.domain.schema import Schema
from monitor.errors import ArtefactError, ModelError


class ScoringWorker:
    """One child per deployment; it stays, with the last model loaded, until something goes wrong.

    `timeout` is for one call, loading included. `memory` is resident bytes; None sets no limit.
    """

    def __init__(
        self,
        *,
        timeout: timedelta,
        schema: Schema,
        trust: Sequence[str] = (),
        memory: int | None = None,
        threads: int = 1,
    ) -> None:
        self._limits = Limits(seconds=timeout.total_seconds(), memory=memory, seconds_key="model.timeout")
        self._schema, self._trust, self._threads = schema, tuple(trust), threads
        self._child: ChildProcess | None = None
        self._bundle: ModelBundle | None = None
        self._lock = threading.Lock()

    def score(self, bundle: ModelBundle, rows: pa.Table) -> Scores:
        """Scores in the order of `rows`. After an error the next call starts a fresh child."""
        classes = bundle.manifest.classes
        if rows.num_rows == 0:
            return np.empty((0, len(classes)) if classes else 0)
        with self._lock:
            try:
                child = self._ready(bundle)
                child.send({"rows": rows.num_rows}, _to_ipc(rows.select(list(self._schema.features))))
                answer, body = _answer(child)
            except ModelError:
                self._end()
                raise
        scores: Scores = np.frombuffer(body, dtype=np.float64).reshape(answer["shape"])
        return scores.copy(order="F")  # class by class, as they are looked at

    def close(self) -> None:
        with self._lock:
            self._end()

    @property
    def pid(self) -> int | None:
        """Of the child; None when there is none."""
        return self._child.pid if self._child else None

    def _ready(self, bundle: ModelBundle) -> ChildProcess:
        """The child with this bundle loaded, and its time for one call started."""
        child, known = self._child, self._bundle == bundle
        if child is None or not child.alive:
            self._end()
            private = bool(self._schema.private)
            child = ChildProcess(
                "monitor.adapters.scoring_child", what="scoring", threads=self._threads, private=private
            )
            known = False
            self._child = child
        child.limit(self._limits)
        if known:
            return child
        check_files(bundle.folder, bundle.manifest)
        manifest, self._bundle = bundle.manifest, bundle
        child.what = f"{manifest.deployment} version {manifest.version}, scoring"
        child.send(
            {
                "folder": str(bundle.folder),
                "classes": list(manifest.classes),
                "schema": self._schema.to_dict(),
                "trust": self._trust,
            }
        )
        _answer(child)
        return child

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
        self._child = self._bundle = None


def _answer(child: ChildProcess) -> tuple[dict[str, list[int]], bytes]:
    answer, body = child.receive()
    if "error" in answer:
        kind = ArtefactError if answer["error"] == ArtefactError.__name__ else ModelError
        raise kind(f"{child.what}: {answer['text']}")
    return answer, body


def _to_ipc(rows: pa.Table) -> pa.Buffer:
    """Written twice, first to count the bytes: a buffer that grows copies them over and over."""
    whole, size = rows.unify_dictionaries(), pa.MockOutputStream()
    _write_ipc(whole, size)
    buffer = pa.allocate_buffer(size.size())
    _write_ipc(whole, pa.FixedSizeBufferWriter(buffer))
    return buffer


def _write_ipc(rows: pa.Table, sink: pa.NativeFile) -> None:
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)

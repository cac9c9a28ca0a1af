"""`Reporter` with Evidently, in a child process: it takes seconds to import and hundreds of megabytes to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from monitor.adapters.atomic_files import write_atomically
from monitor.adapters.child_process import ChildProcess, Limits
from monitor.domain.schema import Kind, Schema
from monitor.errors import ModelError, MonitorError

SCORE_PREFIX = "score:"  # of the columns that hold predictions
_CHILD = "monitor.adapters.evidently_child"
_MEMORY_BYTES = 4 * 1024**3


class EvidentlyReporter:
    """Evidently's data drift and data summary of two tables, as one HTML file that needs no network to be read."""

    def __init__(self, *, timeout: timedelta) -> None:
        self._timeout = timeout

    def report(
        self,
        reference: pa.Table,
        current: pa.Table,
        *,
        schema: Mapping[str, Any],
        title: str,
        out: Path,
        remarks: Sequence[str] = (),
    ) -> Path:
        """Compare the feature and `score:` columns that both tables have, images and vectors left out.

        A column without a single value in one of the tables cannot be drawn; the page names it. Raises MonitorError
        when no column is left, or when Evidently fails, takes longer than the timeout or too much memory.
        """
        columns = _columns(Schema.from_dict(schema), reference, current)
        empty = [name for name in columns if _is_empty(reference, name) or _is_empty(current, name)]
        shown = {name: kind for name, kind in columns.items() if name not in empty}
        if not shown:
            raise MonitorError(f"{title}: no report: no column has values in both the reference and the batch")
        noted = [*remarks, *([f"Without a value in one of the tables: {', '.join(empty)}"] if empty else [])]
        page = self._render(reference, current, {"columns": shown, "title": title, "remarks": noted})
        write_atomically(out, page)
        return out

    def _render(self, reference: pa.Table, current: pa.Table, order: Mapping[str, Any]) -> bytes:
        names = list(order["columns"])
        try:
            child = ChildProcess(_CHILD, what=f"report {order['title']!r}")
            try:
                child.limit(
                    Limits(seconds=self._timeout.total_seconds(), memory=_MEMORY_BYTES, seconds_key="`reports.timeout`")
                )
                child.send(order)
                child.send({"table": "reference"}, _packed(reference.select(names)))
                child.send({"table": "current"}, _packed(current.select(names)))
                answer, page = child.receive()
            finally:
                child.end()
        except ModelError as exc:
            raise MonitorError(str(exc).splitlines()[0]) from exc  # Evidently failed here, not code under models/
        if "error" in answer:
            raise MonitorError(f"{order['title']}: Evidently made no report: {answer['error']}")
        return page


def _columns(schema: Schema, reference: pa.Table, current: pa.Table) -> dict[str, str]:
    """Column → `numeric` or `categorical`."""
    both = set(reference.column_names) & set(current.column_names)
    features = {
        name: "numeric" if kind is Kind.NUMERIC else "categorical"
        for name, kind in schema.features.items()
        if not kind.is_array and name in both
    }
    scores = {name: "numeric" for name in current.column_names if name.startswith(SCORE_PREFIX) and name in both}
    return features | scores


def _is_empty(table: pa.Table, name: str) -> bool:
    return bool(table.column(name).null_count == table.num_rows)


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()

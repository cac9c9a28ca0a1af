"""Reports that the configuration asks for, made beside the passes and never in their way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from monitor.app.advance import Listener
from monitor.app.crashes import report_crashed
from monitor.app.report_batch import report_batch
from monitor.app.runtime import Runtime
from monitor.domain.record import BatchRecord
from monitor.domain.verdict import Verdict
from monitor.errors import MonitorError


class Reports:
    """`runtime` gives that of a deployment, None once it was removed."""

    def __init__(self, runtime: Callable[[str], Runtime | None]) -> None:
        self._runtime = runtime
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="reports")
        self._due: list[Future[None]] = []

    def beside(self, listener: Listener, *, awaited: bool) -> Listener:
        """The listener, and a report begun after each batch that wants one. `awaited`: `wait` will be called."""

        def record(seen: BatchRecord) -> None:
            listener.record(seen)
            rt = self._runtime(seen.deployment)
            when = rt.config.reports.when if rt else "never"
            if rt is not None and (when == "always" or (when == "on_drift" and seen.verdict is Verdict.DRIFT)):
                self._due = [f for f in self._due if not f.done() or (awaited and f.exception())]
                self._due.append(self._pool.submit(_report, rt, seen.batch))

        return replace(listener, record=record)

    def wait(self) -> None:
        """Until all are made. Raises the defect that has ended one."""
        due, self._due = self._due, []
        for report in due:
            report.result()

    def close(self) -> None:
        """Those that have not begun are not made."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _report(rt: Runtime, batch: str) -> None:
    try:
        report = report_batch(rt, batch)
    except MonitorError as exc:
        rt.log.warning("report_failed", deployment=rt.name, batch=batch, error=str(exc))
        return
    except Exception as exc:
        report_crashed(rt, exc, batch)
        raise
    if report.file is None:
        rt.log.info("report_skipped", deployment=rt.name, batch=batch, reason=report.reason)
    else:
        rt.log.info("report_written", deployment=rt.name, batch=batch, file=str(report.file))

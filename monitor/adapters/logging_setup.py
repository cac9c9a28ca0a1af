"""Logs: one line per event on standard error, for people (`console`) or for programs (`json`).

Everything goes through the standard library's root logger, so that what libraries log comes out in the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from monitor.app.ports import Log

_QUIET = {  # what they say below this level is their own business
    "alembic": logging.WARNING,
    "apscheduler": logging.ERROR,  # a pass that is longer than its interval skips a tick: no warning is due
    "asyncio": logging.WARNING,
    "fsspec": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.WARNING,
}


def configure(form: Literal["console", "json"], level: str, *, stream: TextIO | None = None) -> Log:
    """Set up the process's logging and return the log for our own events; the last call counts."""
    out = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form, out)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return get_logger()


def _rendering(form: str, out: TextIO) -> list[structlog.typing.Processor]:
    """Tracebacks without the values of variables: there are rows and secrets among them."""
    if form == "json":
        as_data = ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(as_data), structlog.processors.JSONRenderer(default=str)]
    drawn = structlog.dev.RichTracebackFormatter(show_locals=False)
    return [structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=24, exception_formatter=drawn)]


def get_logger() -> Log:
    """The log as it is set up now; before `configure`, structlog's own defaults."""
    log: Log = structlog.stdlib.get_logger("monitor")
    return log

"""How long each kind of data is kept. Nothing is removed unless it is asked for, but what was pushed and is judged."""

from __future__ import annotations

from datetime import timedelta

from monitor.config.values import Duration, Part


class RetainConfig(Part):
    """From when a file was written; None: for ever."""

    rows: Duration | None = None  # collected rows and their labels, unless a version was trained on them
    reports: Duration | None = None
    quarantine: Duration | None = None
    pushed: Duration = timedelta(days=7)  # as they were sent; what is in them is collected

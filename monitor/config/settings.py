"""The process: `monitor.yaml`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from monitor.config.values import Duration, Part


class HttpConfig(Part):
    bind: str = "127.0.0.1:8000"


class LogConfig(Part):
    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class AlertsConfig(Part):
    """What `monitor rules` has to know of the Prometheus that reads them."""

    job: str = Field(default="monitor", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")  # name of its scrape job
    runbooks: str = "docs/runbooks"  # where the pages are found by who is paged
    hold: Duration = timedelta(minutes=2)  # silence shorter than this is a restart or a lost scrape
    keep: Duration = timedelta(minutes=10)  # how long an alert fires on, so that it does not flap


class Settings(Part):
    """The process: `monitor.yaml`."""

    data: Path = Path("var")
    store: str | None = None  # SQLAlchemy URL; by default SQLite in the data folder
    http: HttpConfig = HttpConfig()
    log: LogConfig = LogConfig()
    alerts: AlertsConfig = AlertsConfig()
    workers: int = Field(default=2, ge=1)  # deployments checked at the same time
    lease: Duration = timedelta(seconds=20)  # a daemon that is not heard of for so long has lost its deployments
    drain: Duration = timedelta(seconds=8)  # how long a stopping daemon waits for the batch at hand
    trust: list[str] = Field(default=[])  # types that scikit-learn artefacts may hold besides skops' own list
    project: Path = Path()  # filled in by `load`: the folder that relative paths start from

    def path(self, relative: Path | str) -> Path:
        """Resolve against the project folder; absolute paths stay."""
        return self.project / relative

    @property
    def data_folder(self) -> Path:
        return self.path(self.data)

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{self.data_folder / 'monitor.db'}"

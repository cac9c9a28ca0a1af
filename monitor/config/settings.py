"""The process: `monitor.yaml`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from monitor.config.values import Duration, Part, Size


class TokenConfig(Part):
    """Who may call; only the hash is kept, so that nobody can take the token from the file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    role: Literal["read", "ingest", "operate"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class HttpConfig(Part):
    bind: str = "127.0.0.1:8000"
    tokens: list[TokenConfig] = Field(default=[])
    max_body: Size = 64 * 1024**2  # of a batch or of labels that are pushed
    requests_per_minute: int = Field(default=600, ge=1)  # of one token, or of one address without
    timeout: Duration = timedelta(seconds=30)  # for a request's body to arrive

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [token.name for token in self.tokens]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"tokens: {twice!r} is there twice")
        return self


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

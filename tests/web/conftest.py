"""An application with a history, and its API as the daemon serves it, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from monitor.adapters.logging_setup import get_logger
from monitor.bootstrap import Application, open_application
from monitor.config.settings import HttpConfig
from monitor.web.http_app import add_api, create_http_app
from monitor.web.server import HttpServer
from monitor.web.tokens import hash_token
from tests.support.project import Project

TOKENS = {role: f"the-{role}-token" for role in ("read", "ingest", "operate")}
QUIET = {"retrain": {"mode": "off"}, "detect": {"rule": "per_batch"}}


@dataclass(slots=True)
class Api:
    project: Project
    app: Application
    web: FastAPI
    url: str

    def client(self, role: str | None = "operate", **headers: str) -> httpx.Client:
        known = {"Authorization": f"Bearer {TOKENS[role]}"} if role else {}
        return httpx.Client(base_url=self.url, headers={**known, **headers}, timeout=60)


@contextmanager
def serving(project: Project, app: Application, **config: Any) -> Iterator[Api]:
    tokens = [{"name": role, "role": role, "sha256": hash_token(token)} for role, token in TOKENS.items()]
    http = HttpConfig.model_validate(
        {"tokens": tokens, "requests_per_minute": 1_000_000, "bind": "127.0.0.1:0", **config}
    )
    web = create_http_app(CollectorRegistry(), lambda: None, lambda: http, get_logger())
    add_api(web, app)
    with HttpServer(web, http) as server:
        yield Api(project, app, web, server.url)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """With two judged batches; what a test leaves behind is history for the next one."""
    project = Project.create(tmp_path_factory.mktemp("api") / "project", changes=QUIET)
    project.add_batch(labels=False)
    project.add_batch(labels=False)
    with open_application(project.config) as app:
        assert len(app.once()) == 2
        app.patience = timedelta(seconds=1)
        with serving(project, app) as found:
            yield found

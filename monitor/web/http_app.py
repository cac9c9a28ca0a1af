"""What the daemon answers over HTTP: its metrics, whether it is alive and ready, and the API.

Everything but the two health pages needs a token when there are any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from monitor.app.ports import Log
from monitor.bootstrap import Application
from monitor.config.settings import HttpConfig
from monitor.web import problems
from monitor.web.commands import operate
from monitor.web.gatekeeper import Gatekeeper
from monitor.web.ingest import ingest
from monitor.web.reading import read
from monitor.web.routing import PREFIX, needs
from monitor.web.tokens import Role

Readiness = Callable[[], str | None]  # None when ready, else what is missing
_OPENAPI = f"{PREFIX}/openapi.json"
_FRONT_PAGE = f"""\
Driftloop monitor

/metrics              for Prometheus
/-/healthy            is it alive?
/-/ready              does it work, and does the store answer?
{PREFIX}/deployments   how each deployment stands
{_OPENAPI}  all calls
"""


def create_http_app(
    registry: CollectorRegistry, not_ready: Readiness, config: Callable[[], HttpConfig], log: Log
) -> FastAPI:
    """Metrics and health. `not_ready` and `config` are asked at each request and must not raise."""
    web = FastAPI(title="Driftloop monitor", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    problems.install(web, log)
    web.add_middleware(Gatekeeper, config=config, log=log)
    web.include_router(_pages(registry, not_ready))
    return web


def add_api(web: FastAPI, app: Application) -> None:
    """Answer `/api/v1/…` from `app`."""
    web.state.application, web.state.pushes = app, set()
    for router in (read, ingest, operate):
        web.include_router(router)

    @web.get(_OPENAPI, dependencies=[needs(Role.READ)], include_in_schema=False)
    def openapi() -> JSONResponse:
        return JSONResponse(describe(web))


def describe(web: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; `Problem` is in it although no route returns one."""
    document = get_openapi(title=web.title, version=web.version, routes=web.routes)
    document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.Problem.model_json_schema()
    return document


def _pages(registry: CollectorRegistry, not_ready: Readiness) -> APIRouter:
    pages = APIRouter(include_in_schema=False)

    @pages.get("/", response_class=PlainTextResponse, dependencies=[needs(Role.READ)])
    def front_page() -> str:
        return _FRONT_PAGE

    @pages.get("/metrics", dependencies=[needs(Role.READ)])
    def metrics(accept: Annotated[str, Header()] = "") -> Response:
        encode, content_type = choose_encoder(accept)
        return Response(encode(registry), headers={"Content-Type": content_type})

    @pages.get("/-/healthy", response_class=PlainTextResponse)
    def healthy() -> str:
        return "healthy\n"

    @pages.get("/-/ready", response_class=PlainTextResponse)
    def ready() -> Response:
        missing = not_ready()
        if missing is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {missing}\n", status_code=503)

    return pages

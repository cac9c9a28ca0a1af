"""What the daemon answers over HTTP: its metrics, and whether it is alive and ready.

`/metrics` needs the token when there is one; the two health pages never do, for a probe has no secret and they say
nothing about the data.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Readiness = Callable[[], str | None]  # None when ready, else what is missing


def create_http_app(registry: CollectorRegistry, not_ready: Readiness, *, token: str | None = None) -> FastAPI:
    """`not_ready` is asked at each request and must not raise."""
    web = FastAPI(title="Driftloop monitor", docs_url=None, redoc_url=None, openapi_url=None)

    def authorised(authorization: Annotated[str | None, Header()] = None) -> None:
        if token is None:
            return
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})

    @web.get("/metrics", dependencies=[Depends(authorised)])
    def metrics(accept: Annotated[str, Header()] = "") -> Response:
        encode, content_type = choose_encoder(accept)
        return Response(encode(registry), headers={"Content-Type": content_type})

    @web.get("/-/healthy", response_class=PlainTextResponse)
    def healthy() -> str:
        return "healthy\n"

    @web.get("/-/ready", response_class=PlainTextResponse)
    def ready() -> Response:
        missing = not_ready()
        if missing is None:
            return PlainTextResponse("ready\n")
        return PlainTextResponse(f"not ready: {missing}\n", status_code=503)

    return web

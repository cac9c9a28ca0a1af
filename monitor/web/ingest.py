"""`/api/v1/…` for who delivers: batches and labels, each under an id of the sender's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from monitor.domain.batch import DeliveryKind
from monitor.web.answers import Answer, PushedAnswer
from monitor.web.routing import App, Name, router
from monitor.web.tokens import Role

ingest = router(Role.INGEST)

SUFFIX_OF = {
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.apache.arrow.file": ".arrow",
    "application/vnd.apache.arrow.stream": ".arrow",
    "text/csv": ".csv",
    "application/x-ndjson": ".jsonl",
}
_MOST_AT_ONCE = 4  # pushes held in memory, each of at most `http.max_body`
_BODY = {"type": "string", "format": "binary"}
_DESCRIBED: dict[str, Any] = {
    "requestBody": {"required": True, "content": {media: {"schema": _BODY} for media in SUFFIX_OF}}
}
# A file name that means itself on every system: no folder, no hidden or temporary file.
Id = Annotated[
    str,
    Path(
        description="Chosen by the sender: the batch is known by it.", pattern="^[A-Za-z0-9][A-Za-z0-9._~=+@,-]{0,99}$"
    ),
]
_ROUTE: dict[str, Any] = {"status_code": 202, "response_model": PushedAnswer, "openapi_extra": _DESCRIBED}


@ingest.put("/deployments/{name}/batches/{id}", **_ROUTE)
async def push_batch(request: Request, app: App, name: Name, id: Id) -> Answer:
    """Deliver a batch. The same content under the same id again changes nothing; other content is refused."""
    return await _push(request, app, name, DeliveryKind.BATCH, id)


@ingest.put("/deployments/{name}/labels/{id}", **_ROUTE)
async def push_labels(request: Request, app: App, name: Name, id: Id) -> Answer:
    """Deliver labels for rows of any batch: the schema's id and label columns, and `available_at` if configured."""
    return await _push(request, app, name, DeliveryKind.LABELS, id)


async def _push(request: Request, app: App, name: str, kind: DeliveryKind, id_: str) -> Answer:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    suffix = SUFFIX_OF.get(media)
    if suffix is None:
        raise HTTPException(415, f"content type {media!r} is not one of {', '.join(SUFFIX_OF)}")
    at_work: set[Request] = request.app.state.pushes
    if len(at_work) >= _MOST_AT_ONCE:
        raise HTTPException(429, "too many pushes at the same time", {"Retry-After": "1"})
    at_work.add(request)
    try:
        content = await request.body()
        pushed = await run_in_threadpool(app.push, name, kind, id_, suffix, content)
    finally:
        at_work.discard(request)
    return Answer(pushed.to_dict(), status_code=202)

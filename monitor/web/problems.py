"""Errors as RFC 9457 problems: `application/problem+json`, naming file, column and row where it is about data."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from monitor.app.ports import Log
from monitor.app.push import ConflictError
from monitor.domain.private import without_text
from monitor.errors import BusyError, ConfigError, DataError, MonitorError, UnreachableError

MEDIA_TYPE = "application/problem+json"
_ASK_AGAIN_SECONDS = "5"

# The first class that fits says the status.
_STATUS: tuple[tuple[type[MonitorError], HTTPStatus], ...] = (
    (DataError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConfigError, HTTPStatus.CONFLICT),  # asked for what this deployment, as configured and as it stands, cannot do
    (ConflictError, HTTPStatus.CONFLICT),
    (BusyError, HTTPStatus.CONFLICT),
    (UnreachableError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(BaseModel):
    """What went wrong. `kind` is the class of the error; `errors` lists what is wrong with a request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    kind: str | None = None
    file: str | None = Field(default=None, description="What was pushed, or the file at the source.")
    column: str | None = None
    row: int | None = Field(default=None, description="From 1; header and blank lines do not count.")
    errors: list[dict[str, Any]] | None = None


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, **more)
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True), status_code=status, headers=headers, media_type=MEDIA_TYPE
    )


def of_error(exc: MonitorError) -> Response:
    status = next((s for kind, s in _STATUS if isinstance(exc, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    where = {"file": exc.file, "column": exc.column, "row": exc.row} if isinstance(exc, DataError) else {}
    retry = isinstance(exc, UnreachableError)
    headers = {"Retry-After": _ASK_AGAIN_SECONDS} if retry else None
    return problem(status, str(exc), headers=headers, kind=type(exc).__name__, **where)


def install(web: FastAPI, log: Log) -> None:
    """Make every error of `web` a problem; one that nobody foresaw is logged and tells the caller nothing."""

    async def ours(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, MonitorError)
        return of_error(exc)

    async def http(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        return problem(exc.status_code, str(exc.detail), headers=dict(exc.headers or {}))

    async def invalid(_: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)
        if broken := next((e for e in exc.errors() if e["type"] == "json_invalid"), None):
            where = f"{broken['ctx']['error']}, at character {broken['loc'][-1]}"
            return problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {where}")
        errors = [{"where": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in exc.errors()]
        detail = "; ".join(f"{e['where']}: {e['message']}" for e in errors)
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)

    async def unforeseen(request: Request, exc: Exception) -> Response:
        app = getattr(request.app.state, "application", None)
        shown = without_text(exc) if app is not None and app.private else exc
        log.error("request_crashed", path=request.url.path, error=repr(shown), exc_info=shown)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a defect of this program; its log says more")

    web.add_exception_handler(MonitorError, ours)
    web.add_exception_handler(HTTPException, http)
    web.add_exception_handler(RequestValidationError, invalid)
    web.add_exception_handler(Exception, unforeseen)

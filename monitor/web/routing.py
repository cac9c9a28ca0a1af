"""What every route of the API has in common: the application behind it, who may call it, and how it fails."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from monitor.bootstrap import Application
from monitor.web.gatekeeper import CALLER
from monitor.web.problems import MEDIA_TYPE
from monitor.web.tokens import Caller, Role

PREFIX = "/api/v1"
_bearer = HTTPBearer(auto_error=False, description="A token of `http.tokens`.")
_FAILURES = {
    400: "The body is not JSON in UTF-8.",
    401: "No token, or one that is not known.",
    403: "The token has another role.",
    404: "Nothing has this name.",
    408: "The body did not arrive in time.",
    409: "Not as things stand: another process is at work, the id is taken, there is no model yet.",
    413: "The body is too large.",
    415: "The content type is not one of those listed.",
    422: "The request or the data cannot be used; for data with file, column and row.",
    429: "Too many requests; `Retry-After` says when to come back.",
    500: "A stored model is damaged, or a defect.",
    503: "The store or a source does not answer; try again.",
}


def needs(role: Role) -> Any:
    """Dependency that lets only callers with this role through."""

    def check(request: Request, _: Annotated[Any, Depends(_bearer)]) -> None:
        caller: Caller | None = request.scope.get(CALLER)
        if caller is None or not caller.role.may(role):
            raise HTTPException(403, f"this needs a token with the role `{role}`")

    return Depends(check)


def router(role: Role) -> APIRouter:
    """A part of the API that one role may call; the role is the tag of its routes."""
    return APIRouter(prefix=PREFIX, tags=[role.value], dependencies=[needs(role)], responses=_documented())


def _documented() -> dict[int | str, dict[str, Any]]:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {status: {"description": text, "content": {MEDIA_TYPE: schema}} for status, text in _FAILURES.items()}


def _application(request: Request) -> Application:
    app: Application = request.app.state.application
    return app


App = Annotated[Application, Depends(_application)]


def _known(app: App, name: Annotated[str, Path(description="Deployment.", max_length=63)]) -> str:
    if name not in app.deployments:
        raise HTTPException(404, f"no deployment {name!r}")
    return name


Name = Annotated[str, Depends(_known)]

"""What stands before every request: who calls, how often, how much they send and how slowly; and safe headers after it.

It is decided before a byte of the body is read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.app.ports import Log
from monitor.config.settings import HttpConfig
from monitor.web.problems import problem
from monitor.web.rate_limit import RateLimit
from monitor.web.tokens import Caller, Role, who_calls

CALLER = "monitor.caller"  # key of the scope
OPEN_PATHS = ("/-/healthy", "/-/ready")  # a probe has no secret, and they say nothing about the data
_COMMAND_BYTES = 64 * 1024  # of a request that is not a push
_LOCAL = Caller("local", Role.OPERATE)
_SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Gatekeeper:
    """ASGI middleware. Without tokens only programs of this machine may call, and no web page on their behalf.

    `config` is asked at each request: a token that is taken away opens nothing from then on.
    """

    def __init__(self, app: ASGIApp, config: Callable[[], HttpConfig], log: Log) -> None:
        self._app, self._config, self._log = app, config, log
        self._limit = RateLimit(time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_SAFE_HEADERS)
            await send(message)

        if scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send_safely)
            return
        headers, host, config = Headers(scope=scope), (scope.get("client") or ("",))[0], self._config()
        most = config.max_body if scope["method"] == "PUT" else _COMMAND_BYTES
        caller = _caller(config, headers, scope["method"])
        refused = self._refused(config, caller, headers, host, most=most)
        if refused is None:
            scope[CALLER] = caller
            body = _Body(receive, most=most, seconds=config.timeout.total_seconds())
            await self._app(scope, body, send_safely)
            return
        status, detail, more = refused
        self._log.warning("request_refused", path=scope["path"], client=host, status=int(status), reason=detail)
        await problem(status, detail, headers=more)(scope, receive, send_safely)

    def _refused(
        self, config: HttpConfig, caller: Caller | None, headers: Headers, host: str, *, most: int
    ) -> tuple[HTTPStatus, str, dict[str, str]] | None:
        authorization, length = headers.get("authorization", ""), headers.get("content-length", "0")
        who = caller.name if caller and config.tokens else f"address {host}"
        wait = self._limit.wait_seconds(who, config.requests_per_minute)
        if wait > 0:
            after = {"Retry-After": str(math.ceil(wait))}
            return HTTPStatus.TOO_MANY_REQUESTS, "too many requests", after
        if caller is None and config.tokens:
            return (HTTPStatus.UNAUTHORIZED, *_without_token(authorization))
        if caller is None:
            return HTTPStatus.FORBIDDEN, "without `http.tokens` only programs of this machine may call", {}
        if length.isdecimal() and int(length) > most:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most:,} bytes", {}
        return None


def _caller(config: HttpConfig, headers: Headers, method: str) -> Caller | None:
    if config.tokens:
        return who_calls(headers.get("authorization", ""), config.tokens)
    changes = method not in ("GET", "HEAD")
    from_a_page = changes and "origin" in headers
    return _LOCAL if _is_local(headers.get("host", "")) and not from_a_page else None


def _without_token(authorization: str) -> tuple[str, dict[str, str]]:
    """Why this header lets nobody in, in words that tell nothing of the tokens there are; RFC 6750, section 3."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return "this bearer token is not known, or no longer", {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return "a bearer token is needed: `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"}


class _Body:
    """`receive` that stops at a size and at a time."""

    def __init__(self, receive: Receive, *, most: int, seconds: float) -> None:
        self._receive, self._most, self._left = receive, most, most
        self._deadline, self._whole = time.monotonic() + seconds, False

    async def __call__(self) -> Message:
        if self._whole:  # waiting for the client to go away: as long as the answer takes
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None
        self._left -= len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._left < 0:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {self._most:,} bytes")
        return message


def _is_local(host: str) -> bool:
    """A page elsewhere can make its own name lead to this machine, but not change what name it asks for."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

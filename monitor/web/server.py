"""An HTTP server in a thread of the daemon's process: listening when the constructor returns, gone after `close`."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from monitor.config.settings import HttpConfig
from monitor.errors import ConfigError

_BACKLOG = 128
_MOST_REQUESTS = 256  # open at the same time; more are answered 503
_LAST_PORT = 65535
_CLOSE_SECONDS = 2  # what an open request gets before its connection is cut


class HttpServer:
    """Serve `web` on `config.bind` (`host:port`, port 0 for any free one).

    Raises ConfigError when the address is not one, is taken, or is public although requests need no token.
    """

    def __init__(self, web: FastAPI, config: HttpConfig) -> None:
        host, port = parse_bind(config.bind)
        if not config.tokens and not _is_loopback(host):
            raise ConfigError(
                f"http.bind {config.bind!r} can be reached from other machines: make a token with `monitor token new` "
                "and put it under `http.tokens`, or bind to 127.0.0.1"
            )
        self._socket = _listen(host, port, config.bind)
        settings = uvicorn.Config(
            web,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_REQUESTS,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        )
        # It would repeat the traceback of a request that crashed, which the application has logged as is fit.
        logging.getLogger("uvicorn.error").addFilter(_without_traceback)
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens; the port is the real one when any free one was asked for."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        """Finish the requests at hand, then stop; a second call does nothing."""
        self._server.should_exit = True
        self._thread.join(timeout=2 * _CLOSE_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _without_traceback(record: logging.LogRecord) -> bool:
    return record.exc_info is None


def parse_bind(bind: str) -> tuple[str, int]:
    """Split `host:port`, IPv6 hosts in brackets; raises ConfigError."""
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise ConfigError(f"http.bind: {bind!r} is not HOST:PORT such as 127.0.0.1:8000")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int, bind: str) -> socket.socket:
    """Listen already here, so that a taken port stops the start and early requests wait instead of failing."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as exc:
        raise ConfigError(f"http.bind {bind!r}: {exc.strerror or exc}") from exc
    return listening

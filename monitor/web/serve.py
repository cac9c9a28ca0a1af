"""The HTTP server of a running application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from monitor.adapters.metrics.collector import StoreCollector, registry_of
from monitor.adapters.metrics.configuration import ConfigCollector
from monitor.app.daemon import Health
from monitor.bootstrap import Application
from monitor.errors import StoreError
from monitor.web.http_app import add_api, create_http_app
from monitor.web.server import HttpServer


@contextmanager
def serve(app: Application) -> Iterator[str]:
    """Serve until the block ends; yields the URL. Raises ConfigError for an address that cannot be used."""

    def health_of(name: str) -> Health:
        return app.daemon.health.get(name, Health()) if app.daemon else Health()

    def not_ready() -> str | None:
        if app.daemon is None or app.daemon.stopping:
            return "the daemon is not running"
        try:
            app.store.ping()
        except StoreError as exc:
            return str(exc)
        return None

    registry = registry_of(StoreCollector(app.store, app.deployments, health_of), ConfigCollector(lambda: app.reloaded))
    web = create_http_app(registry, not_ready, lambda: app.settings.http, app.log)
    add_api(web, app)
    with HttpServer(web, app.settings.http) as server:
        yield server.url

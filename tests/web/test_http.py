"""The server in a thread, over real sockets; the collector reads a real store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from monitor.adapters.logging_setup import get_logger
from monitor.adapters.metrics.collector import StoreCollector, registry_of
from monitor.app.daemon import Health
from monitor.config.settings import HttpConfig
from monitor.errors import ConfigError
from monitor.web.http_app import create_http_app
from monitor.web.server import HttpServer, parse_bind
from monitor.web.tokens import hash_token
from tests.support import stored
from tests.web.conftest import Api

ANY_PORT = HttpConfig(bind="127.0.0.1:0")
SECRET = "secret"
PROTECTED = HttpConfig(bind="127.0.0.1:0", tokens=[{"name": "ops", "role": "read", "sha256": hash_token(SECRET)}])


def page(registry: CollectorRegistry, config: HttpConfig = ANY_PORT, missing: Callable[[], str | None] = lambda: None):
    return create_http_app(registry, missing, lambda: config, get_logger())


@pytest.fixture
def registry(tmp_path: Path) -> CollectorRegistry:
    store = stored.open_store(tmp_path)
    stored.put(store, *(stored.record(k) for k in range(3)))
    return registry_of(StoreCollector(store, {"prices": stored.deployment()}, lambda _: Health()))


@pytest.fixture
def server(registry: CollectorRegistry) -> Iterator[HttpServer]:
    with HttpServer(page(registry), ANY_PORT) as running:
        yield running


def test_metrics_in_both_formats(server: HttpServer):
    plain = httpx.get(f"{server.url}/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(plain.text)}
    assert {s.labels["verdict"]: s.value for s in families["monitor_batches"].samples}["ok"] == 3
    open_metrics = httpx.get(f"{server.url}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


def test_scrapes_at_the_same_time_agree(server: HttpServer):
    found: list[str] = []

    def scrape() -> None:
        text = httpx.get(f"{server.url}/metrics").text
        found.append(next(line for line in text.splitlines() if line.startswith("monitor_rows_total")))

    threads = [threading.Thread(target=scrape) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ['monitor_rows_total{deployment="prices"} 300.0'] * 8


def test_ready_says_what_is_missing(registry: CollectorRegistry):
    missing: list[str | None] = ["the store does not answer"]
    with HttpServer(page(registry, missing=lambda: missing[-1]), ANY_PORT) as server:
        not_ready = httpx.get(f"{server.url}/-/ready")
        assert (not_ready.status_code, not_ready.text) == (503, "not ready: the store does not answer\n")
        assert httpx.get(f"{server.url}/-/healthy").status_code == 200
        missing.append(None)
        assert httpx.get(f"{server.url}/-/ready").status_code == 200


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        *(
            (given, "a bearer token is needed: `Authorization: Bearer TOKEN`")
            for given in (None, "secret", "Basic secret", "Bearer")
        ),
        *((given, "this bearer token is not known, or no longer") for given in ("Bearer wrong", "bearer sécret")),
    ],
)
def test_with_a_token_metrics_are_for_those_who_have_it(
    registry: CollectorRegistry, authorization: str | None, why: str
):
    with HttpServer(page(registry, PROTECTED), PROTECTED) as server:
        headers = {"Authorization": authorization.encode()} if authorization else {}
        refused = httpx.get(f"{server.url}/metrics", headers=headers)
        assert (refused.status_code, refused.json()["detail"]) == (401, why)
        told = 'Bearer error="invalid_token"' if "known" in why else "Bearer"
        assert refused.headers["www-authenticate"] == told
        assert "monitor_" not in refused.text
        assert httpx.get(f"{server.url}/metrics", headers={"Authorization": "Bearer secret"}).status_code == 200
        assert httpx.get(f"{server.url}/-/healthy").status_code == 200
        assert httpx.get(f"{server.url}/-/ready").status_code == 200


def test_nothing_answers_after_close(registry: CollectorRegistry):
    before = set(threading.enumerate())
    server = HttpServer(page(registry), ANY_PORT)
    url = server.url
    with httpx.Client() as kept_alive:
        assert kept_alive.get(f"{url}/-/healthy").status_code == 200
        server.close()
        server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/-/healthy")
    assert set(threading.enumerate()) <= before  # one of an earlier test may have ended meanwhile


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000", "example.org:8000"])
def test_a_public_address_needs_a_token(registry: CollectorRegistry, bind: str):
    with pytest.raises(ConfigError, match="monitor token new"):
        HttpServer(page(registry), HttpConfig(bind=bind))


def test_a_public_address_with_a_token_is_served(registry: CollectorRegistry):
    public = PROTECTED.model_copy(update={"bind": "0.0.0.0:0"})
    with HttpServer(page(registry, public), public) as server:
        assert server.url.startswith("http://0.0.0.0:")


def test_a_taken_port_is_an_error_at_once(registry: CollectorRegistry, server: HttpServer):
    taken = server.url.removeprefix("http://")
    with pytest.raises(ConfigError, match=f"{taken}.*in use"):
        HttpServer(page(registry), HttpConfig(bind=taken))


@pytest.mark.parametrize(
    ("bind", "parts"),
    [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:9", ("::1", 9)), ("localhost:0", ("localhost", 0))],
)
def test_addresses(bind: str, parts: tuple[str, int]):
    assert parse_bind(bind) == parts


@pytest.mark.parametrize("bind", ["", "8000", ":8000", "localhost", "localhost:", "localhost:http", "localhost:65536"])
def test_what_is_no_address(bind: str):
    with pytest.raises(ConfigError, match=r"not HOST:PORT"):
        parse_bind(bind)


def test_the_front_page_leads_to_pages_that_answer(api: Api):
    with api.client("read") as client:
        paths = [line.split()[0] for line in client.get("/").text.splitlines() if line.startswith("/")]
        assert "/api/v1/deployments" in paths
        assert [client.get(path).status_code for path in paths] == [200] * len(paths)

"""Every route of the API with every role. A route that is not in the table fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from monitor.web.gatekeeper import OPEN_PATHS
from tests.web.conftest import TOKENS, Api

BASE = "/api/v1/deployments"
NEEDS = {  # route → the role it needs; `operate` may do everything
    ("GET", "/metrics"): "read",
    ("GET", "/api/v1/openapi.json"): "read",
    ("GET", BASE): "read",
    ("GET", f"{BASE}/{{name}}"): "read",
    ("GET", f"{BASE}/{{name}}/batches"): "read",
    ("GET", f"{BASE}/{{name}}/batches/{{batch:path}}"): "read",
    ("GET", f"{BASE}/{{name}}/measures/{{batch:path}}"): "read",
    ("GET", f"{BASE}/{{name}}/deliveries"): "read",
    ("GET", f"{BASE}/{{name}}/held-labels"): "read",
    ("GET", f"{BASE}/{{name}}/versions"): "read",
    ("GET", f"{BASE}/{{name}}/versions/{{version}}"): "read",
    ("GET", f"{BASE}/{{name}}/journal"): "read",
    ("PUT", f"{BASE}/{{name}}/batches/{{id}}"): "ingest",
    ("PUT", f"{BASE}/{{name}}/labels/{{id}}"): "ingest",
    ("POST", "/api/v1/reload"): "operate",
    ("POST", f"{BASE}/{{name}}/acknowledge"): "operate",
    ("POST", f"{BASE}/{{name}}/retrain"): "operate",
    ("POST", f"{BASE}/{{name}}/promote"): "operate",
    ("POST", f"{BASE}/{{name}}/rollback"): "operate",
    ("POST", f"{BASE}/{{name}}/held-labels/release"): "operate",
    ("POST", f"{BASE}/{{name}}/held-labels/reject"): "operate",
    ("GET", "/"): "read",
    ("GET", "/-/healthy"): None,
    ("GET", "/-/ready"): None,
}


def concrete(path: str) -> str:
    """With values that lead to an answer, or to an error that is not about who calls."""
    values = {"{name}": "tiny", "{batch:path}": "batch_000", "{id}": "by-role", "{version}": "1"}
    for part, value in values.items():
        path = path.replace(part, value)
    return path


def routes(web: Any) -> Iterator[tuple[str, str]]:
    """Of an application or a router, those of the routers that it includes among them."""
    for route in web.routes:
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in route.methods)
        else:
            yield from routes(route.original_router)


def test_every_route_is_in_the_table(api: Api):
    assert set(routes(api.web)) == set(NEEDS)
    assert {path for (_, path), role in NEEDS.items() if role is None} == set(OPEN_PATHS)


@pytest.mark.parametrize(("method", "path"), NEEDS)
@pytest.mark.parametrize("role", [None, *TOKENS])
def test_who_may_call_what(api: Api, method: str, path: str, role: str | None):
    needed = NEEDS[method, path]
    with api.client(role) as client:
        answer = client.request(method, concrete(path))  # no body: what is allowed may still be refused as wrong
    if needed is None:
        assert answer.status_code == 200
    elif role is None:
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    elif role not in (needed, "operate"):
        assert answer.status_code == 403
        assert answer.json()["detail"] == f"this needs a token with the role `{needed}`"
    else:
        assert answer.status_code in (200, 202, 415, 422)

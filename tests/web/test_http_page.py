"""`docs/reference/http.md` and the API say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from monitor.web.http_app import describe
from monitor.web.ingest import SUFFIX_OF
from tests.web.conftest import Api

PAGE = (Path(__file__).parents[2] / "docs/reference/http.md").read_text(encoding="utf-8")
CALLS = {
    (method, path): (role, text)
    for method, path, role, text in re.findall(r"^\| `([A-Z]+) (\S+)` \| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
}


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    return describe(api.web)


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    paths = document["paths"]
    return {(method.upper(), path): found for path in paths for method, found in paths[path].items()}


def test_every_call_is_listed_with_its_role(document: dict[str, Any]):
    assert {call: role for call, (role, _) in CALLS.items()} == {
        call: found["tags"][0] for call, found in operations(document).items()
    }


def test_every_parameter_is_named(document: dict[str, Any]):
    for call, found in operations(document).items():
        names = [p["name"] for p in found.get("parameters", []) if p["in"] == "query"]
        body = found.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        if "$ref" in body:
            names += document["components"]["schemas"][body["$ref"].split("/")[-1]]["properties"]
        assert [name for name in names if f"`{name}`" not in CALLS[call][1]] == []


def test_every_status_and_content_type_is_explained(document: dict[str, Any]):
    table = PAGE.split("## Errors")[1]
    explained = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(",")}
    answered = {int(status) for found in operations(document).values() for status in found["responses"]}
    assert answered == explained | {200, 202}
    assert all(f"`{media}`" in PAGE for media in SUFFIX_OF)

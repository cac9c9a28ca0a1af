"""The whole API under requests that schemathesis makes up from its OpenAPI document: no 5xx, and no answer off it."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from monitor.web.ingest import SUFFIX_OF
from tests.web.conftest import TOKENS, Api

EXAMPLES = 15  # of each operation and mode
KNOWN = {"name": "tiny", "batch": "batch_000", "version": 1}  # else hardly a request would get behind a 404
HEADERS = {"Authorization": f"Bearer {TOKENS['operate']}"}
BY_STATE = "positive_data_acceptance"  # a request that is right in form may be refused as things stand: 409
WRONG = "negative_data_rejection"  # what was wrong with a request may be what we put a known value for

for media in SUFFIX_OF:
    schemathesis.openapi.media_type(media, st.binary(max_size=200))


def checks(*without: str) -> list[Any]:
    known = schemathesis.checks.CHECKS
    return [known.get_one(name) for name in known.get_all_names() if name not in without]


@pytest.fixture(scope="module")
def schema(api: Api) -> Any:
    return schemathesis.openapi.from_url(f"{api.url}/api/v1/openapi.json", headers=HEADERS)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_leads_to_a_5xx_or_to_an_answer_that_is_not_documented(schema: Any, mode: GenerationMode):
    seen = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        seen += 1

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(case=operation.as_strategy(generation_mode=mode), known=st.sets(st.sampled_from(sorted(KNOWN))))
        def hold(case: Any, known: set[str]) -> None:
            known &= set(case.path_parameters or {})
            for name in known:
                case.path_parameters[name] = KNOWN[name]
            case.call_and_validate(headers=HEADERS, checks=checks(BY_STATE, *([WRONG] if known else [])))

        hold()
    assert seen == 19

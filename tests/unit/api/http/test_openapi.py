"""The description of the API: complete, consistent with itself, and with ids that stay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from api.app import BodyLimits, build_app
from api.deps import CanReadCredits, GenerationId
from api.http import examples, operator_examples
from api.http.openapi import TAGS, VERSION
from tests.support.description import (
    OF_ANY_KEY,
    Operation,
    assert_valid,
    components,
    described,
    operations,
    operator_operations,
)

# Clients are generated from these names: one that is missing here was renamed or removed, which breaks them.
IDS = Path(__file__).with_name("operation_ids.json")
OPERATORS_IDS = Path(__file__).with_name("operators_operation_ids.json")
BOTH = (*operations(), *operator_operations())
EVERY = pytest.mark.parametrize("operation", BOTH, ids=lambda each: each.id)


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_ids_of_operations_are_those_that_clients_know() -> None:
    known = json.loads(IDS.read_text())
    assert {each.id: f"{each.method} {each.path}" for each in operations()} == known


def test_the_ids_of_operators_operations_are_those_that_their_systems_know() -> None:
    known = json.loads(OPERATORS_IDS.read_text())
    assert {each.id: f"{each.method} {each.path}" for each in operator_operations()} == known
    assert len({each.id for each in BOTH}) == len(BOTH)


def test_it_says_what_it_is_and_where() -> None:
    openapi = build_app(BodyLimits(1, 1), public_url="https://api.example.com").openapi()

    assert openapi["servers"] == [{"url": "https://api.example.com"}]
    assert (openapi["info"]["title"], openapi["info"]["version"]) == ("Darkroom", VERSION)
    assert set(openapi["components"]["securitySchemes"]) == {"bearer", "signature", "watch_token"}


def test_every_tag_is_described_and_used() -> None:
    used = {tag for each in operations() for tag in each.content["tags"]}
    assert used == set(TAGS)
    assert [each["name"] for each in described()["tags"]] == list(TAGS)


def test_whatever_it_refers_to_is_there() -> None:
    for reference in set(references(described())):
        found: Any = described()
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


@EVERY
def test_every_operation_is_described(operation: Operation) -> None:
    assert operation.content["description"]
    assert "HTTPValidationError" not in str(operation.content)
    for status, response in operation.content["responses"].items():
        assert response["description"]
        assert response["headers"]["X-Request-Id"]["required"], status
        if int(status) >= 400:
            kind = "application/json" if operation.is_openai else "application/problem+json"
            assert kind in response["content"], status
            assert response["content"][kind]["examples"]


@EVERY
def test_every_response_that_is_json_has_an_example_that_is_valid(operation: Operation) -> None:
    for status, response in operation.content["responses"].items():
        for content in response.get("content", {}).values():
            if not content["schema"] or content["schema"].get("type") == "string":
                continue
            assert content["examples"], (status, "add it to VIEWS in api/http/examples.py")
            for example in content["examples"].values():
                name = example.get("$ref", "").rpartition("/")[2]
                value = components()["examples"][name]["value"] if name else example["value"]
                assert_valid(value, content["schema"])


@EVERY
def test_every_example_of_a_request_is_valid(operation: Operation) -> None:
    for content in operation.media_types.values():
        for example in content.get("examples", {}).values():
            assert_valid(example["value"], content["schema"])
    for parameter in operation.content.get("parameters", ()):
        if "example" in parameter:
            assert_valid(parameter["example"], parameter["schema"])


def test_no_example_is_of_something_that_is_gone() -> None:
    assert set(examples.BODIES) <= {each.id for each in operations()}
    assert set(examples.VIEWS) <= set(described()["components"]["schemas"])
    assert set(operator_examples.BODIES) <= {each.id for each in operator_operations()}
    assert set(operator_examples.VIEWS) <= set(components()["schemas"])


@EVERY
def test_with_a_key_come_the_errors_and_headers_of_a_key(operation: Operation) -> None:
    responses = operation.content["responses"]
    if operation.scopes is None:
        return
    assert bool(operation.scopes) != (operation.id in OF_ANY_KEY)
    assert {"401", "403", "429"} <= set(responses)
    assert responses["401"]["headers"]["WWW-Authenticate"]["required"]
    # OpenAI's 429 is also the answer to who has no credits, which do not come by waiting.
    assert responses["429"]["headers"]["Retry-After"]["required"] is not operation.is_openai


@pytest.mark.parametrize("operation", operator_operations(), ids=lambda each: each.id)
def test_with_an_operators_key_come_its_errors_and_headers(operation: Operation) -> None:
    [security] = operation.content["security"]
    assert security == {"operator": ["grants:read" if operation.method == "GET" else "grants:write"]}
    assert {"401", "403", "429"} <= set(operation.content["responses"])
    for status, response in operation.content["responses"].items():
        assert int(status) >= 300 or "RateLimit" in response["headers"]


class _Wish(BaseModel):
    words: str


def test_a_new_route_has_the_errors_of_what_it_depends_on() -> None:
    app, router = build_app(BodyLimits(1, 1)), APIRouter(prefix="/v1/wishes", tags=["wishes"])

    @router.post("/{generation_id}")
    async def make_wish(generation_id: GenerationId, _: CanReadCredits, wish: _Wish) -> _Wish:
        return wish

    app.include_router(router)
    operation = app.openapi()["paths"]["/v1/wishes/{generation_id}"]["post"]

    assert operation["operationId"] == "make_wish"
    assert operation["security"] == [{"bearer": ["credits:read"]}]
    expected = ["200", "400", "401", "403", "404", "408", "413", "415", "422", "429", "500", "503"]
    assert sorted(operation["responses"]) == expected
    problem = operation["responses"]["404"]["content"]["application/problem+json"]
    assert list(problem["examples"]) == ["generation_not_found"]
    assert "RateLimit" in operation["responses"]["200"]["headers"]

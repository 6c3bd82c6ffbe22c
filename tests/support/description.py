"""The description of the API in tests: its operations, and whether a response is one that it has."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from api.app import BodyLimits, build_app
from api.http.openapi import merged

_METHODS = ("get", "post", "put", "patch", "delete")
# Whatever a key may do, it may ask this.
OF_ANY_KEY = {"get_session"}
_JSON = ("application/json", "application/problem+json")

_OPENAI_CODES = {"invalid_api_key": "unauthenticated"}


@dataclass(frozen=True)
class Operation:
    """One method of one path. content: what the description says of it."""

    method: str
    path: str
    content: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.content["operationId"])

    @property
    def is_openai(self) -> bool:
        """Return whether its errors have OpenAI's shape."""
        return "openai" in self.content["tags"]

    @property
    def path_parameters(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """Return the scopes that an API key needs; None if no key is asked for."""
        return next(
            (tuple(each["bearer"]) for each in self.content.get("security", ()) if "bearer" in each), None
        )

    @property
    def media_types(self) -> Mapping[str, Any]:
        """Return what is said of the body, by its type; nothing without one."""
        return dict(self.content.get("requestBody", {}).get("content", {}))

    def matches(self, method: str, path: str) -> bool:
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.path)
        return method == self.method and re.fullmatch(pattern, path) is not None


def refusal_of(operation: Operation, response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal; the code as a problem has it, also where OpenAI's is sent."""
    expected = "application/json" if operation.is_openai else "application/problem+json"
    assert response.headers["content-type"] == expected
    code = response.json()["error"]["code"] if operation.is_openai else response.json()["code"]
    return response.status_code, _OPENAI_CODES.get(code, code)


@cache
def described() -> Mapping[str, Any]:
    return build_app(BodyLimits(1, 1)).openapi()


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(_operations(described()))


@cache
def operator_operations() -> tuple[Operation, ...]:
    """Return what is described to operators only."""
    return tuple(_operations(build_app(BodyLimits(1, 1)).operators.openapi()))


@cache
def components() -> Mapping[str, Any]:
    """Return what the descriptions of all operations refer to."""
    app = build_app(BodyLimits(1, 1))
    found: Mapping[str, Any] = merged(app.openapi, app.operators.openapi)["components"]
    return found


def _operations(openapi: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in openapi["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield Operation(method.upper(), path, methods[method])


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema, or what it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(components()["schemas"][name]) if name else schema


def assert_valid(value: object, schema: Mapping[str, Any]) -> None:
    Draft202012Validator({**schema, "components": components()}).validate(value)


async def assert_described(response: httpx.Response) -> None:
    """Check status, headers, body and code of a response to an operation; others are no matter of it."""
    request = response.request
    is_operators = re.fullmatch(r"Bearer dkop_\S+", request.headers.get("authorization", ""))
    known = operator_operations() if is_operators else operations()
    found = [each for each in known if each.matches(request.method, request.url.path)]
    if not found:
        return
    # A path without parameters is found first, as the router does.
    operation = min(found, key=lambda each: len(each.path_parameters))
    place = f"{operation.method} {operation.path}: {response.status_code}"
    declared = operation.content["responses"].get(str(response.status_code))
    assert declared is not None, f"{place} is not described"
    required = {name for name, each in declared["headers"].items() if each["required"]}
    missing = {name for name in required if name not in response.headers}
    assert not missing, f"{place} lacks {missing}"
    await _assert_body(response, declared, place)


async def _assert_body(response: httpx.Response, declared: Mapping[str, Any], place: str) -> None:
    media_type = response.headers.get("content-type", "").partition(";")[0]
    kinds = declared.get("content", {})
    if not media_type and not kinds:
        return
    assert media_type in kinds, f"{place} is described as {list(kinds)}, and is {media_type!r}"
    if media_type in _JSON:
        await response.aread()
        assert_valid(response.json(), kinds[media_type]["schema"])
    if media_type == "application/problem+json":
        assert response.json()["code"] in kinds[media_type]["examples"], f"{place} {response.json()['code']}"

"""The description of the API, completed from what the routes and their dependencies declare.

FastAPI describes parameters, bodies and the one response of each route. Errors, headers and security come
from the declarations of `api/http/declarations.py`, so a new route has them by what it depends on.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from api.http import deprecations, examples, openai_description, openai_errors
from api.http.budget_headers import SHOWN_ON
from api.http.declarations import Declaration, declarations_of
from api.http.problems import status_of
from api.http.response_headers import (
    BUDGET,
    CHALLENGE,
    REQUEST_ID,
    RETRY_AFTER,
    RETRY_AFTER_IF_ANY,
    SHOULD_RETRY,
)
from api.http.schemas.openai_images import ImagesView, OpenAIError
from api.http.schemas.problems import Problem
from domain import errors
from domain.errors import LimitReached, ServiceError, TransientError

# Of the description, as docs/versioning.md has it; the path has the version of the API.
VERSION = "1.0.0"
TAGS = {
    "generations": "Jobs that make images: accepted with 202, then read, waited for, canceled or deleted.",
    "batches": "Many generations at once, of an array or a file of lines.",
    "events": "What happened to generations and credits, as pages or as streams.",
    "images": "The images of a generation, at addresses that never change.",
    "files": "Images that generations use as inputs, and lines of batches.",
    "models": "What can be asked for, with limits and prices.",
    "credits": "What the tenant can spend, and every movement.",
    "session": "Whose the key of the request is.",
    "keys": "API keys with at most the powers of the key that makes them.",
    "deliveries": "Webhooks to the client: where they go, and what was delivered.",
    "openai": "Images in OpenAI's form, for its clients.",
    "webhooks": "Where providers report results. Not for clients.",
    "health": "For load balancers and operators.",
}
# Of operators' routes, which are described to operators only.
OPERATOR_TAGS = {"operators": "Credits, as billing systems grant and take them back with an operator's key."}
_ALL_TAGS = (*TAGS.items(), *OPERATOR_TAGS.items())
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `dk_…`. The word in the brackets is the scope that it needs, if any.",
    },
    "signature": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "The signature in an address that this API gave out. It opens that address alone.",
    },
    "watch_token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A token of `POST /v1/watch-tokens`. It reads one generation and its events.",
    },
    "operator": {
        "type": "http",
        "scheme": "bearer",
        "description": "An operator's key, `dkop_…`, of `python -m admin create-operator-key`. The word in"
        " the brackets is the scope that it needs; `grants:write` has `grants:read` in it.",
    },
}
# Those that are named with what a key needs.
_KEYS = ("bearer", "operator")
_FASTAPIS_DESCRIPTION = "Successful Response"
_PROBLEM = "application/problem+json"
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_SCHEMAS = "#/components/schemas/"
# With these comes Retry-After.
_PASSING = (LimitReached, TransientError, errors.IdempotencyKeyInUse)
# Wherever a body is read: (status, code).
_BODY_ERRORS = (
    (HTTPStatus.BAD_REQUEST, errors.InvalidInput.code),
    (HTTPStatus.REQUEST_TIMEOUT, "request_timeout"),
)
_BODY_ERROR_CLASSES = (errors.BodyTooLarge, errors.UnsupportedMediaType, errors.InvalidInput)
# Middleware may refuse any request, and anything may break.
_ERRORS_OF_ALL = (errors.Overloaded, ServiceError)


class DescribedAPI(FastAPI):
    """An application whose description is complete."""

    public_url: str = "/"

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _describe(super().openapi(), self.routes, self.public_url)
        return self.openapi_schema


def merged(*describe: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return one description of several applications: all of the first, and what the others add to it."""
    first, *others = (deepcopy(dict(each())) for each in describe)
    for other in others:
        first["paths"] |= other["paths"]
        first["tags"] += other["tags"]
        for kind, components in other["components"].items():
            first["components"][kind] = components | first["components"].get(kind, {})
    return first


def operation_id(route: APIRoute) -> str:
    """Return the id of a route's operation: the name of its function."""
    return route.name


def _describe(openapi: dict[str, Any], routes: Sequence[BaseRoute], url: str) -> dict[str, Any]:
    described = deepcopy(openapi)
    schemas: dict[str, Any] = described.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for schema in (Problem, OpenAIError, ImagesView):
        _hoist(schema.__name__, schema.model_json_schema(), schemas)
    for route in iter_route_contexts(routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                operation = described["paths"][route.path_format][method.lower()]
                _complete(operation, route)
                _hoist_body(operation, schemas)
    ways = {way for operation in operations_of(described) for each in operation["security"] for way in each}
    schemes = {name: scheme for name, scheme in _SECURITY_SCHEMES.items() if name in ways}
    described["components"]["securitySchemes"] = schemes
    described["components"]["examples"] = examples.problems()
    described["servers"] = [{"url": url}]
    used = {tag for operation in operations_of(described) for tag in operation["tags"]}
    described["tags"] = [{"name": tag, "description": text} for tag, text in _ALL_TAGS if tag in used]
    examples.add(described)
    deprecations.mark(described)
    return described


def operations_of(openapi: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in openapi["paths"].values():
        yield from methods.values()


def _complete(operation: dict[str, Any], route: RouteContext) -> None:
    declared = list(declarations_of(route.dependant))
    by_hand = {each["name"]: deepcopy(each) for one in declared for each in one.parameters}
    ways = {scheme for one in declared for scheme in one.security}
    parameters = [*operation.get("parameters", ()), *by_hand.values()]
    operation["parameters"] = [each for each in parameters if not _is_way_in(each, ways)]
    operation["security"] = _security(declared)
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    for status, response in responses.items():
        _complete_success(status, response, declared)
    for refused, codes in sorted(_codes(operation, route.dependant, declared).items()):
        _add_problem(responses.setdefault(str(refused), {}), refused, codes)
        if refused in SHOWN_ON:
            _add_headers(responses[str(refused)], declared, BUDGET)
    if (route.path_format or "").startswith(openai_errors.PREFIX):
        openai_description.describe_errors(operation)
    for response in responses.values():
        response["headers"] |= REQUEST_ID


def _complete_success(status: str, response: dict[str, Any], declared: Iterable[Declaration]) -> None:
    if response["description"] == _FASTAPIS_DESCRIPTION:
        response["description"] = HTTPStatus(int(status)).phrase
    _add_headers(response, declared)


def _add_headers(
    response: dict[str, Any], declared: Iterable[Declaration], only: Collection[str] | None = None
) -> None:
    """Add what is declared, or those of it that are named."""
    headers = response.setdefault("headers", {})
    for one in declared:
        names = one.headers.keys() if only is None else one.headers.keys() & set(only)
        headers |= {name: one.headers[name] for name in sorted(names) if name not in headers}


def _is_way_in(parameter: Mapping[str, Any], ways: Iterable[str]) -> bool:
    """Return whether a security scheme describes the parameter already."""
    place = (parameter["in"], parameter["name"])
    return any(
        (_SECURITY_SCHEMES[way].get("in"), _SECURITY_SCHEMES[way].get("name")) == place for way in ways
    )


def _security(declared: Iterable[Declaration]) -> list[dict[str, list[str]]]:
    declared = list(declared)
    scopes = list(dict.fromkeys(str(one.scope) for one in declared if one.scope is not None))
    schemes = dict.fromkeys(scheme for one in declared for scheme in one.security)
    return [{scheme: scopes if scheme in _KEYS else []} for scheme in schemes]


def _codes(
    operation: Mapping[str, Any], dependant: Dependant, declared: Iterable[Declaration]
) -> dict[HTTPStatus, dict[str, type[ServiceError] | None]]:
    """Return the codes of errors by status; for each its class, if it has one."""
    raised: list[type[ServiceError]] = [error for one in declared for error in one.errors]
    raised += _ERRORS_OF_ALL
    if _validates_parameters(dependant):
        raised.append(errors.InvalidInput)
    found: dict[HTTPStatus, dict[str, type[ServiceError] | None]] = defaultdict(dict)
    if kinds := operation.get("requestBody", {}).get("content"):
        raised += [errors.BodyTooLarge] if "*/*" in kinds else _BODY_ERROR_CLASSES
        for status, code in _BODY_ERRORS:
            found[status][code] = None
    for error in raised:
        found[status_of(error)][error.code] = error
    for code, status in examples.HTTP_CODES.items():
        if str(status.value) in operation["responses"]:
            found[status][code] = None
    return found


def _validates_parameters(dependant: Dependant) -> bool:
    """Return whether a parameter may be refused: a plain word in the path or the query may not."""
    fields = [*dependant.path_params, *dependant.query_params, *dependant.header_params]
    if any(field.field_info.annotation is not str or field.field_info.metadata for field in fields):
        return True
    return any(map(_validates_parameters, dependant.dependencies))


def _add_problem(
    response: dict[str, Any], status: HTTPStatus, codes: Mapping[str, type[ServiceError] | None]
) -> None:
    response.setdefault("description", status.phrase)
    content = response.setdefault("content", {})
    content[_PROBLEM] = {
        "schema": _PROBLEM_REF,
        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in sorted(codes)},
    }
    headers = response.setdefault("headers", {})
    if status is HTTPStatus.UNAUTHORIZED:
        headers.update(CHALLENGE)
    headers.update(SHOULD_RETRY)
    pass_by_themselves = [error is not None and issubclass(error, _PASSING) for error in codes.values()]
    if any(pass_by_themselves):
        is_always = all(pass_by_themselves) and len(content) == 1
        headers.update(RETRY_AFTER if is_always else RETRY_AFTER_IF_ANY)


def _hoist_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give a body that a route reads by hand, and describes by its model, its place among the schemas."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content.get("schema", {})
        if "properties" in schema and "title" in schema:
            name = schema["title"]
            _hoist(name, schema, schemas)
            content["schema"] = {"$ref": f"{_SCHEMAS}{name}"}


def _hoist(name: str, schema: Mapping[str, Any], schemas: dict[str, Any]) -> None:
    """Put a schema that pydantic made among the others, and those that it refers to."""
    own = {key: value for key, value in schema.items() if key != "$defs"}
    for each, definition in {**schema.get("$defs", {}), name: own}.items():
        schemas[each] = _relocated(definition)


def _relocated(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_relocated(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.replace("#/$defs/", _SCHEMAS) if key == "$ref" else _relocated(value)
        for key, value in schema.items()
    }

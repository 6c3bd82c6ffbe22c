"""How the routes in OpenAI's form are described: their errors have OpenAI's shape and statuses."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from api.http.openai_errors import GENERATION_ID, error_body
from api.http.response_headers import header
from domain.errors import ServiceError, describe

_ERROR = {"$ref": "#/components/schemas/OpenAIError"}
_GENERATION_ID = {GENERATION_ID: header("The job of the request, once it has one.", required=False)}


def describe_errors(operation: Mapping[str, Any]) -> None:
    """Replace the problems of an operation by what is sent instead."""
    responses = operation["responses"]
    problems = {status: responses.pop(status) for status in list(responses) if int(status) >= 400}
    for status, response in problems.items():
        for code in response["content"]["application/problem+json"]["examples"]:
            new_status, body = example_of(HTTPStatus(int(status)), code)
            merged = responses.setdefault(str(new_status), _response(new_status, response["headers"]))
            merged["content"]["application/json"]["examples"][code] = {"value": body}
            _merge_headers(merged["headers"], response["headers"])
    for response in responses.values():
        response["headers"] |= _GENERATION_ID


def example_of(status: HTTPStatus, code: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error of this code."""
    error = describe(code)
    message = error.message if error is not ServiceError else status.phrase
    return error_body({}, status, code, message)


def _response(status: int, headers: Mapping[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": _ERROR, "examples": {}}}
    return {"description": HTTPStatus(status).phrase, "content": content, "headers": dict(headers)}


def _merge_headers(headers: dict[str, Any], others: Mapping[str, Any]) -> None:
    """Add headers; one that not every code has is not required."""
    for name in headers.keys() | others.keys():
        found = [each[name] for each in (headers, others) if name in each]
        is_always = len(found) == 2 and all(each["required"] for each in found)
        headers[name] = found[0] | {"required": is_always}

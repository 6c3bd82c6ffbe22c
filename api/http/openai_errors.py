"""Errors in the shape that OpenAI's clients read: `{"error": {message, type, param, code}}`.

Every error of the service is rendered as a problem first, wherever it comes from; on the routes in OpenAI's
form it is translated on its way out. Under `/v1/models`, which both kinds of clients read, a problem has
`error` as a member more.
"""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain import errors

PREFIX = "/v1/images/"
GENERATION_ID = "X-Generation-Id"
_MODELS = "/v1/models"
_PROBLEM = b"application/problem+json"
_STATE = "generation_id"
_STATUSES = {
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
    HTTPStatus.PAYMENT_REQUIRED: HTTPStatus.TOO_MANY_REQUESTS,
}
_STATUSES_OF_CODES = {
    errors.ContentRejected.code: HTTPStatus.BAD_REQUEST,
    # As of a model that the account has no access to.
    errors.ModelUnavailable.code: HTTPStatus.NOT_FOUND,
}
# Where OpenAI has a code of its own, by which its users decide: type and code.
_OPENAI_NAMES = {
    errors.Unauthenticated.code: ("invalid_request_error", "invalid_api_key"),
    errors.ContentRejected.code: ("image_generation_user_error", "moderation_blocked"),
    errors.InsufficientCredits.code: ("insufficient_quota", "insufficient_quota"),
    errors.KeyBudgetExceeded.code: ("insufficient_quota", "insufficient_quota"),
    errors.RateLimited.code: ("requests", "rate_limit_exceeded"),
}
_PARAMETERS_OF_CODES = {errors.ModelNotFound.code: "model", errors.ModelUnavailable.code: "model"}
_TYPES = {
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.CONFLICT: "conflict_error",
    HTTPStatus.TOO_MANY_REQUESTS: "requests",
}
_INPUT = re.compile(r"inputs(?:\.([0-9]+))?")


def mark_generation(scope: Scope, generation_id: str) -> None:
    """Let every response from now on name the job, and no client repeat its request by itself."""
    scope.setdefault("state", {})[_STATE] = generation_id


def status_of_code(status: int, code: str) -> HTTPStatus:
    """Return the status of an error that has this status elsewhere."""
    return _STATUSES_OF_CODES.get(code, _STATUSES.get(HTTPStatus(status), HTTPStatus(status)))


def error_body(
    scope: Scope, status: int, code: str, message: str, fields: Sequence[tuple[str, str]] = ()
) -> tuple[int, dict[str, Any]]:
    """Return status and content of an error in OpenAI's shape. fields: as in a problem."""
    status = status_of_code(status, code)
    default = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    kind, name = _OPENAI_NAMES.get(code, (_TYPES.get(status, default), code))
    renamed = [(_parameter(field), text) for field, text in fields]
    error: dict[str, Any] = {
        "message": "; ".join(f"{field}: {text}" for field, text in renamed) or message,
        "type": kind,
        "param": renamed[0][0] if renamed else _PARAMETERS_OF_CODES.get(code),
        "code": name,
    }
    if (generation_id := scope.get("state", {}).get(_STATE)) is not None:
        error["generation_id"] = generation_id
    return status, {"error": error}


def translated(scope: Scope, response: JSONResponse) -> Response:
    """Return a problem as the client of this request reads it, where no middleware sees it."""
    if not _is_openai(scope["path"]):
        return response
    status, content = _translate(scope, response.status_code, json.loads(bytes(response.body)))
    return JSONResponse(content, status, headers=dict(_job_headers(scope)))


class OpenAIErrorsMiddleware:
    """Translates problems, and names the job in the response to a request that has one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_openai(scope["path"]):
            await self._app(scope, receive, send)
            return
        started: Message | None = None
        body = b""

        async def send_translated(message: Message) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_job_headers(scope))
                if Headers(scope=message).get("content-type", "").encode() == _PROBLEM:
                    started = message
                    return
            elif started is not None:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await _send(scope, started, json.loads(body), send)
                return
            await send(message)

        await self._app(scope, receive, send_translated)


async def _send(scope: Scope, started: Message, problem: Mapping[str, Any], send: Send) -> None:
    status, content = _translate(scope, started["status"], problem)
    encoded = json.dumps(content).encode()
    headers = MutableHeaders(scope=started)
    headers["content-length"] = str(len(encoded))
    if "type" not in content:
        headers["content-type"] = "application/json"
    if problem["code"] == errors.ModelUnavailable.code:
        headers["x-should-retry"] = "false"
        del headers["retry-after"]
    await send({**started, "status": status})
    await send({"type": "http.response.body", "body": encoded})


def _translate(scope: Scope, status: int, problem: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    fields = [(each["field"], each["message"]) for each in problem.get("errors", ())]
    new_status, content = error_body(scope, status, problem["code"], problem["detail"], fields)
    if problem.get("generation_id") is not None:
        content["error"]["generation_id"] = problem["generation_id"]
    if scope["path"].startswith(PREFIX):
        return new_status, content
    return status, {**problem, **content}


def _job_headers(scope: Scope) -> Mapping[str, str]:
    generation_id = scope.get("state", {}).get(_STATE)
    return {} if generation_id is None else {GENERATION_ID: generation_id, "x-should-retry": "false"}


def _is_openai(path: str) -> bool:
    return path.startswith((PREFIX, f"{_MODELS}/")) or path == _MODELS


def _parameter(field: str) -> str:
    """Return a field as OpenAI calls it."""
    match = _INPUT.fullmatch(field)
    if match is not None:
        return "image" if match[1] is None else f"image[{match[1]}]"
    return field.removeprefix("options.")

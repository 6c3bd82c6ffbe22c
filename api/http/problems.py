"""Every error as problem+json with a stable code. What a client sent is never echoed."""

import logging
import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.http import openai_errors
from api.http.schemas.problems import FieldProblem, Problem
from domain import errors
from domain.errors import InvalidInput, LimitReached, ServiceError, StorageUnavailable, TransientError

_log = logging.getLogger("darkroom.api")
_STATUS: dict[type[ServiceError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.IdempotencyKeyInvalid: HTTPStatus.BAD_REQUEST,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.ScopeMissing: HTTPStatus.FORBIDDEN,
    errors.GenerationNotFound: HTTPStatus.NOT_FOUND,
    errors.ImageNotFound: HTTPStatus.NOT_FOUND,
    errors.ModelNotFound: HTTPStatus.NOT_FOUND,
    errors.FileNotFound: HTTPStatus.NOT_FOUND,
    errors.TenantNotFound: HTTPStatus.NOT_FOUND,
    errors.ModelUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooLateToCancel: HTTPStatus.CONFLICT,
    errors.SignatureInvalid: HTTPStatus.UNAUTHORIZED,
    errors.TooManyAtOnce: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyFailedKeys: HTTPStatus.TOO_MANY_REQUESTS,
    errors.LinkExpired: HTTPStatus.FORBIDDEN,
    errors.InsufficientCredits: HTTPStatus.PAYMENT_REQUIRED,
    errors.TenantSuspended: HTTPStatus.FORBIDDEN,
    errors.FileQuotaExceeded: HTTPStatus.FORBIDDEN,
    errors.UnchargedCostExceeded: HTTPStatus.FORBIDDEN,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyOpenGenerations: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyWaitingGenerations: HTTPStatus.TOO_MANY_REQUESTS,
    errors.NotTerminal: HTTPStatus.CONFLICT,
    errors.FileInUse: HTTPStatus.CONFLICT,
    errors.ImageErased: HTTPStatus.GONE,
    errors.RequestAbandoned: HTTPStatus.REQUEST_TIMEOUT,
    errors.GenerationCanceled: HTTPStatus.CONFLICT,
    errors.GenerationPending: HTTPStatus.GATEWAY_TIMEOUT,
    errors.TooManyWaiting: HTTPStatus.TOO_MANY_REQUESTS,
    errors.EventsExpired: HTTPStatus.GONE,
}
_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.BodyTooLarge.code,
    HTTPStatus.BAD_REQUEST: InvalidInput.code,
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.TOO_MANY_REQUESTS: errors.TooManyAtOnce.code,
}


def install(app: FastAPI) -> None:
    """Render everything that can go wrong."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(OSError, _system_error)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: type[ServiceError]) -> HTTPStatus:
    """Return the status that a request is refused with."""
    default = (
        HTTPStatus.SERVICE_UNAVAILABLE
        if issubclass(error, TransientError)
        else HTTPStatus.INTERNAL_SERVER_ERROR
    )
    return _STATUS.get(error, default)


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    fields: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = Problem(
        type=f"urn:darkroom:error:{code}",
        title=status.phrase,
        status=status,
        code=code,
        detail=detail,
        errors=[FieldProblem(field=field, message=message) for field, message in fields],
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type="application/problem+json")


async def _service_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    headers = {}
    default = HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, TransientError):
        default = HTTPStatus.SERVICE_UNAVAILABLE
        headers["Retry-After"] = str(max(1, ceil(error.retry_after_seconds or 0)))
    if isinstance(error, LimitReached):
        headers["Retry-After"] = str(max(1, ceil(error.retry_after_seconds)))
    status = _STATUS.get(type(error), default)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, InvalidInput):
        return problem(status, error.code, str(error), error.errors, headers)
    # A transient error's own text may name hosts; the client gets the fixed one.
    detail = error.message if isinstance(error, TransientError) else str(error)
    return problem(status, error.code, detail, (), headers)


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    fields = [(_field(item["loc"]), str(item["msg"])) for item in found]
    is_json = not any(item["type"] == "json_invalid" for item in found)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_json else HTTPStatus.BAD_REQUEST
    detail = "; ".join(f"{field}: {message}" for field, message in fields[:5])
    return problem(status, InvalidInput.code, detail, fields[:50])


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return problem(status, _CODES.get(status, "http_error"), status.phrase, (), error.headers)


async def _gone(_: Request, __: Exception) -> JSONResponse:
    """Respond to a client that disconnected in the middle of its body; nothing reads it."""
    status = HTTPStatus.BAD_REQUEST
    return problem(status, _CODES[status], status.phrase)


async def _system_error(request: Request, error: Exception) -> JSONResponse:
    """Respond to what the system refused, such as room on the disk of temporary files."""
    assert isinstance(error, OSError)
    if error.errno is None:
        raise error
    _log.error("the system refused: %s", os.strerror(error.errno), exc_info=error)
    return await _service_error(request, StorageUnavailable())


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("internal error", exc_info=error)
    response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, ServiceError.code, ServiceError.message)
    return openai_errors.translated(request.scope, response)


def _field(location: Sequence[int | str]) -> str:
    """Return a field's path as a client names it, cut, as an unknown name may be anything."""
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    name = ".".join(parts) or "body"
    return name.encode("ascii", "backslashreplace").decode()[:100]

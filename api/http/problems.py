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
from api.http.field_errors import field_name, message_of
from api.http.problem_statuses import STATUSES
from api.http.schemas.problems import FieldProblem, Problem
from domain import errors
from domain.batches import BATCH_PREFIX
from domain.errors import (
    IdempotencyKeyInUse,
    InvalidInput,
    JobFacts,
    KeyExceedsOwn,
    LimitReached,
    OutcomeUnknown,
    ServiceError,
    StorageUnavailable,
    TransientError,
    UnsupportedMediaType,
)

_log = logging.getLogger("darkroom.api")
_CODES = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.BodyTooLarge.code,
    HTTPStatus.BAD_REQUEST: InvalidInput.code,
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "range_not_satisfiable",
    HTTPStatus.TOO_MANY_REQUESTS: errors.TooManyAtOnce.code,
}


_UNREADABLE = "not whole JSON, or not a form with as many files and fields as are taken"
# What OpenAI's and Stripe's clients obey.
SHOULD_RETRY = "X-Should-Retry"
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


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
    return STATUSES.get(error, default)


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    fields: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    *,
    retryable: bool | None = None,
    about: JobFacts | None = None,
) -> JSONResponse:
    """Build the response to a request that is refused. Its arguments are those of `problem_body`."""
    body = problem_body(status, code, detail, fields, retryable=retryable, about=about)
    marked = {SHOULD_RETRY: "true" if body.retryable else "false", **(headers or {})}
    return JSONResponse(body.model_dump(), status, headers=marked, media_type="application/problem+json")


def problem_body(
    status: HTTPStatus,
    code: str,
    detail: str,
    fields: Sequence[tuple[str, str]] = (),
    *,
    retryable: bool | None = None,
    about: JobFacts | None = None,
) -> Problem:
    """Return what is said of a refusal.

    fields: names, and what is wrong with each. retryable: None where the status and the code tell.
    about: the job that exists, or may.
    """
    return Problem(
        type=f"urn:darkroom:error:{code}",
        title=status.phrase,
        status=status,
        code=code,
        detail=detail,
        errors=[FieldProblem(field=field, message=message) for field, message in fields],
        retryable=is_retryable(status, code) if retryable is None else retryable,
        charged=about.charged if about is not None else False,
        stage=(about.stage if about is not None else None) or "request",
        generation_id=about.generation_id if about is not None else None,
    )


def is_retryable(status: HTTPStatus, code: str) -> bool:
    """Return whether the same request may succeed later, and made no job now."""
    if code == errors.ModelUnavailable.code:  # until an operator switches it on
        return False
    return status in _PASSING or code == errors.IdempotencyKeyInUse.code


def note_accepted(request: Request, generation_id: str) -> None:
    """Remember which job the request has: whatever goes wrong from now on, the response names it."""
    request.state.accepted = JobFacts(generation_id)


def _path_of(request: Request, job_id: str) -> str:
    """Return where to read a job, or a batch, that may be there."""
    if job_id.startswith(BATCH_PREFIX):
        return request.url_for("get_batch", batch_id=job_id).path
    return request.url_for("get_generation", generation_id=job_id).path


def _respond_about(
    request: Request,
    error: ServiceError,
    headers: Mapping[str, str],
    about: JobFacts,
    *,
    retryable: bool = False,
) -> JSONResponse:
    path = _path_of(request, about.generation_id)
    # As of a job that is accepted; an application of a test has no address.
    place = {"Location": getattr(request.app, "public_url", "").rstrip("/") + path}
    detail = error.message if isinstance(error, TransientError) else str(error)
    return problem(
        status_of(type(error)),
        error.code,
        detail,
        (),
        {**headers, **place},
        retryable=retryable,
        about=about,
    )


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    headers = {}
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(max(1, ceil(error.retry_after_seconds or 0)))
    if isinstance(error, LimitReached):
        headers["Retry-After"] = str(max(1, ceil(error.retry_after_seconds)))
    if isinstance(error, IdempotencyKeyInUse):
        headers["Retry-After"] = "1"
    status = status_of(type(error))
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, OutcomeUnknown):
        unknown = JobFacts(error.generation_id)
        return _respond_about(request, error, headers, unknown, retryable=error.is_repeatable)
    about: JobFacts | None = getattr(request.state, "accepted", None) or error.about
    if about is not None:
        return _respond_about(request, error, headers, about)
    if isinstance(error, InvalidInput | KeyExceedsOwn):
        return problem(status, error.code, str(error), error.errors, headers)
    # A transient error's own text may name hosts; the client gets the fixed one.
    detail = error.message if isinstance(error, TransientError) else str(error)
    return problem(status, error.code, detail, (), headers)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["loc"] == ("body",) for item in found) and not is_json(request):
        # FastAPI reads such a body as text, and then misses the object.
        return await _service_error(request, UnsupportedMediaType("the body must be application/json"))
    # Each once: a parameter that two dependencies read is reported by both.
    fields = list(dict.fromkeys((field_name(item["loc"]), message_of(item)) for item in found))
    is_broken = any(item["type"] == "json_invalid" for item in found)
    status = HTTPStatus.BAD_REQUEST if is_broken else HTTPStatus.UNPROCESSABLE_ENTITY
    detail = "; ".join(f"{field}: {message}" for field, message in fields[:5])
    return problem(status, InvalidInput.code, detail, fields[:50])


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status, "http_error")
    if status is HTTPStatus.BAD_REQUEST:
        return problem(status, code, f"body: {_UNREADABLE}", [("body", _UNREADABLE)], error.headers)
    # Nobody but us refuses a body for its size; of all others the text may be of a library.
    detail = error.detail if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.phrase
    return problem(status, code, detail, (), error.headers)


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
    if (about := getattr(request.state, "accepted", None)) is not None:
        return _respond_about(request, ServiceError(), {}, about)
    # It may have done its work before.
    retryable = request.method in ("GET", "HEAD") or "idempotency-key" in request.headers
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    response = problem(status, ServiceError.code, ServiceError.message, retryable=retryable)
    return openai_errors.translated(request.scope, response)


def is_json(request: Request) -> bool:
    """Return whether the request says that its body is JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )

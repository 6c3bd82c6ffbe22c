"""Images as OpenAI's clients ask for them: one request, whose response has the images.

Underneath it is a generation like any other. A client that disconnects does not cancel it.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError

from api.deps import AnyCaller, IdempotencyKey, Services, ServicesDep
from api.http import accepted
from api.http.accepted import CREATE_ERRORS
from api.http.client import client_of
from api.http.declarations import declares
from api.http.openai_bodies import AskedImages, opened_edit_ask, read_generation_ask
from api.http.openai_errors import error_body, mark_generation, status_of_code
from api.http.openai_responses import ImagesBody, JobResponse, completed_events, images_json
from api.http.problems import status_of
from api.http.response_headers import RATE_LIMIT, REPLAYED
from api.http.schemas.openai_images import ImageAsk, ImageEditAsk
from api.services.generations import GenerationCommand
from api.services.openai_images import AwaitedJob, ClientTry
from api.services.openai_parameters import DEFAULT_MODEL, model_parameters
from domain.auth import Caller, Scope
from domain.errors import (
    ContentRejected,
    GenerationCanceled,
    GenerationPending,
    ImageErased,
    InsufficientCredits,
    InvalidInput,
    ModerationUnavailable,
    ProviderRefused,
    RateLimited,
    RequestAbandoned,
    RetryableFailure,
    ScopeMissing,
    StorageUnavailable,
    TooManyAtOnce,
    UnsupportedMediaType,
    describe,
)
from domain.generation import Generation, Status
from domain.tenant import RatePolicy

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
router = APIRouter(tags=["openai"])
_MAX_RETRY_DIGITS = 4
_RETRY_COUNT = "x-stainless-retry-count"


def _body(schema: dict[str, Any], *others: str) -> dict[str, Any]:
    content = {media_type: {"schema": schema} for media_type in ("application/json", *others)}
    return {"requestBody": {"required": True, "content": content}}


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The images, once they are there; with `stream` as an event for each.",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/ImagesView"}},
            # One text, or its events: readers of descriptions do not agree.
            "text/event-stream": {"schema": {}},
        },
        "headers": REPLAYED,
    }
}
# How a job may end without images.
_ENDINGS = (
    *RetryableFailure.__subclasses__(),
    ContentRejected,
    ProviderRefused,
    ModerationUnavailable,
    InsufficientCredits,
    GenerationCanceled,
    GenerationPending,
    ImageErased,
    RequestAbandoned,
    StorageUnavailable,
    TooManyAtOnce,
)


@declares(ScopeMissing, RateLimited, scope=Scope.WRITE_GENERATIONS, headers=RATE_LIMIT)
async def _creator(
    request: Request, caller: AnyCaller, services: ServicesDep, key: IdempotencyKey
) -> tuple[Caller, ClientTry]:
    """Return a caller who may make images and see them, and what it says of its request.

    What may be a repeat is taken from the allowance once it is known to be none.
    """
    limiter = services.rate_limiter
    request.state.rate_allowance = partial(limiter.allowance, caller, RatePolicy.CREATE)
    said = request.headers.get(_RETRY_COUNT, "")
    is_count = said.isascii() and said.isdigit() and len(said) <= _MAX_RETRY_DIGITS
    client_try = ClientTry(key, int(said) if is_count else None, request.url.path, {})
    if not client_try.may_be_repeat:
        limiter.take(caller, RatePolicy.CREATE)
    caller.require(Scope.WRITE_GENERATIONS)
    caller.require(Scope.READ_GENERATIONS)
    return caller, client_try


Sent = Annotated[tuple[Caller, ClientTry], Depends(_creator)]


@router.post(
    GENERATIONS,
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_body(ImageAsk.model_json_schema()),
)
@declares(*CREATE_ERRORS, *_ENDINGS, scope=Scope.READ_GENERATIONS)
async def create_openai_images(request: Request, sent: Sent, services: ServicesDep) -> Response:
    """Make images from a prompt, and wait for them, in OpenAI's form."""
    caller, client_try = sent
    job = await _reading(services, sent, lambda: _accept_generation(request, services, caller, client_try))
    return await _respond(request, services, caller, *job)


@router.post(
    EDITS,
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_body(ImageEditAsk.model_json_schema(), "multipart/form-data"),
)
@declares(*CREATE_ERRORS, *_ENDINGS, scope=Scope.READ_GENERATIONS)
async def edit_openai_images(request: Request, sent: Sent, services: ServicesDep) -> Response:
    """Make images from images and a prompt, and wait for them, in OpenAI's form; JSON or multipart."""
    caller, client_try = sent
    job = await _reading(services, sent, lambda: _accept_edit(request, services, caller, client_try))
    return await _respond(request, services, caller, *job)


_Accepted = tuple[AwaitedJob, ImageAsk]


async def _reading(
    services: Services, sent: tuple[Caller, ClientTry], accept: Callable[[], Awaitable[_Accepted]]
) -> _Accepted:
    """Accept a request; take it from the allowance if it was none, and so no repeat of what was accepted."""
    caller, client_try = sent
    try:
        return await accept()
    except (InvalidInput, UnsupportedMediaType, RequestValidationError, HTTPException):
        if client_try.may_be_repeat:
            services.rate_limiter.take(caller, RatePolicy.CREATE)
        raise


async def _accept_generation(
    request: Request, services: Services, caller: Caller, client_try: ClientTry
) -> _Accepted:
    asked = await read_generation_ask(request, caller.tenant_id, services.large_bodies)
    return await _accept(request, services, caller, client_try, asked)


async def _accept_edit(
    request: Request, services: Services, caller: Caller, client_try: ClientTry
) -> _Accepted:
    opened = opened_edit_ask(request, caller.tenant_id, services.large_bodies, services.input_file_service)
    async with opened as asked:
        return await _accept(request, services, caller, client_try, asked)


async def _accept(
    request: Request, services: Services, caller: Caller, client_try: ClientTry, asked: AskedImages
) -> _Accepted:
    """Return the job of a request. What was sent is let go of before the wait."""
    _refuse_partial_images(asked.ask)
    model = services.catalog.get_available_model(asked.ask.model or DEFAULT_MODEL)
    command = GenerationCommand(
        model.id,
        model_parameters(model, asked.parameters(model)),
        asked.ask.metadata,
        asked.inputs,
        asked.mask,
        uploads=asked.uploads,
    )
    whole = replace(client_try, asked=asked.whole())
    job = await services.image_requests.find_or_create(caller, command, whole, client_of(request))
    mark_generation(request.scope, job.generation_id)
    kept = asked.ask.model_copy(update={"prompt": None})
    return job, kept


def _refuse_partial_images(ask: ImageAsk) -> None:
    if ask.partial_images:
        name = ask.model or DEFAULT_MODEL
        raise InvalidInput(errors=(("partial_images", f"{name} has none here; 0, or leave it out"),))
    if ask.stream and ask.response_format == "url":
        raise InvalidInput(errors=(("response_format", "a stream has b64_json"),))


async def _respond(
    request: Request, services: Services, caller: Caller, job: AwaitedJob, ask: ImageAsk
) -> Response:
    """Wait for the job; return its images, or why there are none."""
    try:
        generation = await services.image_requests.wait(caller, job, client_of(request))
        _require_end(generation)
    except BaseException:
        job.end()
        raise
    return _response(request, services, generation, job, ask)


def _require_end(generation: Generation) -> None:
    if not generation.status.is_terminal:
        raise GenerationPending
    if generation.images_erased_at is not None:
        raise ImageErased


def _response(
    request: Request, services: Services, generation: Generation, job: AwaitedJob, ask: ImageAsk
) -> JobResponse:
    is_edit = request.url.path == EDITS
    media_type = "application/json"
    if generation.status is not Status.COMPLETED:
        status, content = _ending(request, generation)
        return JobResponse(_text(json.dumps(content)), job, media_type=media_type, status_code=status)
    if ask.stream:
        parts = completed_events(generation, "image_edit" if is_edit else "image_generation")
        media_type = "text/event-stream"
    else:
        urls = None
        if ask.response_format == "url":
            urls = [image.url for image in services.serializer.serialize(generation).images]
        parts = images_json(generation, urls)
    client = client_of(request)
    copies = services.image_copies
    body = ImagesBody(
        parts, lambda image: copies.open_copy(generation.tenant_id, image.key, client.waiting())
    )
    response = JobResponse(body, job, media_type=media_type)
    if not job.is_new:
        response.headers[accepted.REPLAYED] = response.headers[accepted.REPLAYED_BEFORE] = "true"
    return response


def _text(text: str) -> ImagesBody:
    return ImagesBody((text,), _no_image)


def _no_image(_: Any) -> Any:
    raise AssertionError("there is no image in it")


def _ending(request: Request, generation: Generation) -> tuple[int, dict[str, Any]]:
    """Return the error of a job that ended without images."""
    code = generation.error.code if generation.error is not None else GenerationCanceled.code
    error = describe(code)
    status = status_of_code(status_of(error), code)
    return error_body(request.scope, status, code, error.message)

"""Images as OpenAI's clients ask for them: one request, whose response has the images.

Underneath it is a generation like any other. A client that disconnects does not cancel it.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from api.deps import AnyCaller, IdempotencyKey, Services, ServicesDep, ShowsBudget
from api.http.accepted import CREATE_ERRORS
from api.http.client import client_of
from api.http.declarations import declares
from api.http.openai_answers import AnswerForm, respond
from api.http.openai_bodies import AskedImages, opened_edit_ask, read_generation_ask
from api.http.openai_errors import mark_generation
from api.http.response_headers import RATE_LIMIT, REPLAYED
from api.http.schemas.openai_images import ImageAsk, ImageEditAsk, ImageEditForm
from api.services.generations import GenerationCommand
from api.services.openai_images import AwaitedJob, ClientTry
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
)
from domain.openai_parameters import DEFAULT_MODEL, model_parameters
from domain.tenant import RatePolicy

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
router = APIRouter(tags=["openai"])
_MAX_RETRY_DIGITS = 4
_TYPES = {"json": "application/json", "form": "multipart/form-data"}
_RETRY_COUNT = "x-stainless-retry-count"


def _body(**schemas: type[BaseModel]) -> dict[str, Any]:
    content = {_TYPES[kind]: {"schema": schema.model_json_schema()} for kind, schema in schemas.items()}
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
    request: Request, caller: AnyCaller, services: ServicesDep, key: IdempotencyKey, _: ShowsBudget
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


_Sent = tuple[Caller, ClientTry]
Sent = Annotated[_Sent, Depends(_creator)]


_Accepted = tuple[AwaitedJob, AnswerForm]


@router.post(
    GENERATIONS,
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_body(json=ImageAsk),
)
@declares(*CREATE_ERRORS, *_ENDINGS, scope=Scope.READ_GENERATIONS)
async def create_openai_images(request: Request, sent: Sent, services: ServicesDep) -> Response:
    """Make images from a prompt, and wait for them, in OpenAI's form."""
    job, form = await _accept_generation(request, services, sent)
    return await respond(request, services, sent[0], job, form)


@router.post(
    EDITS,
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=_body(json=ImageEditAsk, form=ImageEditForm),
)
@declares(*CREATE_ERRORS, *_ENDINGS, scope=Scope.READ_GENERATIONS)
async def edit_openai_images(request: Request, sent: Sent, services: ServicesDep) -> Response:
    """Make images from images and a prompt, and wait for them, in OpenAI's form; JSON or multipart."""
    job, form = await _accept_edit(request, services, sent)
    return await respond(request, services, sent[0], job, form)


async def _accept_generation(request: Request, services: Services, sent: _Sent) -> _Accepted:
    with _counted(services, sent):
        asked = await read_generation_ask(request, sent[0].tenant_id, services.large_bodies)
        command = _command(services, asked)
    return await _find_or_create(request, services, sent, asked, command)


async def _accept_edit(request: Request, services: Services, sent: _Sent) -> _Accepted:
    tenant_id = sent[0].tenant_id
    async with AsyncExitStack() as stack:
        with _counted(services, sent):
            opened = opened_edit_ask(request, tenant_id, services.large_bodies, services.input_file_service)
            asked = await stack.enter_async_context(opened)
            command = _command(services, asked)
        return await _find_or_create(request, services, sent, asked, command)


@contextmanager
def _counted(services: Services, sent: _Sent) -> Iterator[None]:
    """Take a request that is refused, and so repeats none that was accepted, from the allowance."""
    try:
        yield
    except (InvalidInput, UnsupportedMediaType, RequestValidationError, HTTPException):
        if sent[1].may_be_repeat:
            services.rate_limiter.take(sent[0], RatePolicy.CREATE)
        raise


def _command(services: Services, asked: AskedImages) -> GenerationCommand:
    _check_stream(asked.ask)
    model = services.catalog.get_available_model(asked.ask.model or DEFAULT_MODEL)
    return GenerationCommand(
        model.id,
        model_parameters(model, asked.parameters(model)),
        asked.ask.metadata,
        asked.inputs,
        asked.mask,
        uploads=asked.uploads,
    )


async def _find_or_create(
    request: Request, services: Services, sent: _Sent, asked: AskedImages, command: GenerationCommand
) -> _Accepted:
    caller, client_try = sent
    whole = replace(client_try, asked=asked.whole())
    job = await services.image_requests.find_or_create(caller, command, whole, client_of(request))
    mark_generation(request.scope, job.generation_id)
    form = AnswerForm(
        "image_edit" if request.url.path == EDITS else "image_generation",
        bool(asked.ask.stream),
        asked.ask.response_format == "url",
        bool(asked.ask.partial_images),
    )
    return job, form


def _check_stream(ask: ImageAsk) -> None:
    if ask.partial_images and not ask.stream:
        raise InvalidInput(errors=(("partial_images", "needs stream"),))
    if ask.stream and ask.response_format == "url":
        raise InvalidInput(errors=(("response_format", "a stream has b64_json"),))

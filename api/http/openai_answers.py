"""Answers in OpenAI's form: at the end of the job, or as a stream from its first partial image."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request, Response

from api.deps import Services
from api.http import accepted
from api.http.client import client_of
from api.http.openai_errors import error_body
from api.http.openai_partial_images import PartialImagesBody
from api.http.openai_responses import (
    Body,
    ImagesBody,
    JobResponse,
    completed_events,
    event_text,
    images_json,
)
from api.http.problems import status_of
from api.services.openai_images import AwaitedJob
from domain.auth import Caller
from domain.errors import GenerationCanceled, GenerationPending, ImageErased, describe
from domain.generation import Generation, Status
from domain.partial_images import PartialImage

_JSON, _EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True)
class AnswerForm:
    """How the images are wanted: all that is kept of a request while it waits.

    kind: `image_generation` or `image_edit`.
    """

    kind: str
    is_stream: bool
    is_url: bool
    has_partial_images: bool


async def respond(
    request: Request, services: Services, caller: Caller, job: AwaitedJob, form: AnswerForm
) -> Response:
    """Wait for the job; return its images, or why there are none.

    With partial images the response begins at the first of them.
    """
    try:
        if form.has_partial_images:
            stream = await _begun_stream(request, services, caller, job, form)
            if stream is not None:
                return _job_response(stream, job, _EVENTS)
            generation = await services.partial_images.current(caller.tenant_id, job.generation_id)
        else:
            generation = await services.image_requests.wait(caller, job, client_of(request))
        _require_end(generation)
    except BaseException:
        job.end()
        raise
    if generation.status is not Status.COMPLETED:
        status, content = _ending(request, generation)
        text = ImagesBody((json.dumps(content),), _no_image)
        return JobResponse(text, job, media_type=_JSON, status_code=status)
    body = _images(request, services, generation, form)
    return _job_response(body, job, _EVENTS if form.is_stream else _JSON)


async def _begun_stream(
    request: Request, services: Services, caller: Caller, job: AwaitedJob, form: AnswerForm
) -> PartialImagesBody | None:
    """Return a stream once there is a partial image; None if the job ended before one, or takes too long."""
    tenant_id, client, feed = caller.tenant_id, client_of(request), services.partial_images
    generation = await feed.current(tenant_id, job.generation_id)
    if generation.images_erased_at is not None:
        return None
    images = feed.follow(tenant_id, job.generation_id, client, caller.key_id)
    first = await _first_of(images)
    if first is None:
        return None
    copies = services.image_copies

    async def ending() -> AsyncGenerator[bytes, None]:
        ended = await feed.current(tenant_id, job.generation_id)
        async with aclosing(_end_of_stream(request, services, ended, form)) as pieces:
            async for piece in pieces:
                yield piece

    return PartialImagesBody(
        generation,
        form.kind,
        first,
        images,
        lambda key: copies.open_copy(tenant_id, key, client.waiting()),
        ending,
    )


async def _first_of(images: AsyncGenerator[PartialImage | None]) -> PartialImage | None:
    async for image in images:
        if image is not None:
            return image
    return None


async def _end_of_stream(
    request: Request, services: Services, generation: Generation, form: AnswerForm
) -> AsyncGenerator[bytes, None]:
    """Yield the images, or the error, which is an event where the stream has begun."""
    error = _missing(generation)
    if error is None and generation.status is Status.COMPLETED:
        async with aclosing(_images(request, services, generation, form).chunks()) as pieces:
            async for piece in pieces:
                yield piece
        return
    _, content = _ending(request, generation, error)
    yield event_text({"type": "error"} | content).encode()


def _require_end(generation: Generation) -> None:
    if (error := _missing(generation)) is not None:
        raise error


def _missing(generation: Generation) -> GenerationPending | ImageErased | None:
    """Return why there is no end to tell of."""
    if not generation.status.is_terminal:
        return GenerationPending()
    return ImageErased() if generation.images_erased_at is not None else None


def _images(request: Request, services: Services, generation: Generation, form: AnswerForm) -> ImagesBody:
    if form.is_stream:
        parts = completed_events(generation, form.kind)
    else:
        urls = None
        if form.is_url:
            urls = [image.url for image in services.serializer.serialize(generation).images]
        parts = images_json(generation, urls)
    client, open_copy = client_of(request), partial(services.image_copies.open_copy, generation.tenant_id)
    return ImagesBody(parts, lambda image: open_copy(image.key, client.waiting()))


def _job_response(body: Body, job: AwaitedJob, media_type: str) -> JobResponse:
    response = JobResponse(body, job, media_type=media_type)
    if not job.is_new:
        response.headers[accepted.REPLAYED] = response.headers[accepted.REPLAYED_BEFORE] = "true"
    return response


def _no_image(_: Any) -> Any:
    raise AssertionError("there is no image in it")


def _ending(
    request: Request, generation: Generation, error: GenerationPending | ImageErased | None = None
) -> tuple[int, dict[str, Any]]:
    """Return status and content of the error of a job without images."""
    if error is not None:
        return error_body(request.scope, status_of(type(error)), error.code, error.message)
    code = generation.error.code if generation.error is not None else GenerationCanceled.code
    found = describe(code)
    return error_body(request.scope, status_of(found), code, found.message)

"""`/v1/images/generations` and `/v1/images/edits`: from the request to the response."""

import hmac
import secrets
import time
from base64 import b64encode
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from simulator.core.faults.switches import Fault, FaultInvalid, parse_markers
from simulator.core.images.sources import Source, SourceInvalid, decode
from simulator.core.jobs import Picture
from simulator.core.rejected import Rejected
from simulator.core.synchronous.job_spec import JobSpec, RawRequest
from simulator.core.synchronous.render_pool import RenderPool
from simulator.core.synchronous.work import Work
from simulator.core.wire import answer
from simulator.openai.errors import invalid_key, rejection, rejection_for
from simulator.openai.faults import KINDS
from simulator.openai.requests import EditArguments, OpenAIRequest, parse, size_of
from simulator.openai.stream import events
from simulator.openai.uploads import MAX_IMAGES, bad_image, read_edit, read_fields, too_many
from simulator.openai.usage import described, usage

MAX_IMAGE_BYTES = 50_000_000
MAX_MASK_BYTES = 4_000_000
BODY_FAULTS = {"truncated_body", "slow_body", "not_json", "huge_body"}
STREAM_FAULTS = {"stream_error"}


def let_in(request: Request, key: str | None) -> None:
    """Raise Rejected without the account's key."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise invalid_key()
    if key is not None and not hmac.compare_digest(given.strip().encode(), key.encode()):
        raise invalid_key()


def new_request_id() -> str:
    return f"req_{secrets.token_hex(16)}"


def common_headers(request_id: str) -> dict[str, str]:
    return {"x-request-id": request_id, "openai-version": "2020-10-01"}


class Generations:
    """Text to image."""

    event_prefix = "image_generation"

    def __init__(self, key: str | None, render_pool: RenderPool) -> None:
        self._key = key
        self._painters = render_pool

    def new_id(self) -> str:
        return new_request_id()

    def headers(self, request_id: str) -> dict[str, str]:
        return common_headers(request_id)

    def check_key(self, request: Request) -> None:
        let_in(request, self._key)

    async def read(self, request: Request) -> RawRequest:
        return await read_fields(request)

    def prompt(self, given: RawRequest) -> str:
        prompt = given.fields.get("prompt")
        return prompt if isinstance(prompt, str) else ""

    async def order(self, given: RawRequest) -> JobSpec:
        return _order(parse(OpenAIRequest, given.fields, strict=True), ())

    def refusal(self, fault: Fault) -> Rejected:
        return rejection_for(fault)

    def nonsense(self, message: str) -> Rejected:
        return rejection(400, message, param="prompt", code="invalid_value")

    async def answer(self, work: Work) -> Response:
        headers = self.headers(work.job.id)
        if work.order.arguments["stream"]:
            body = events(work, self.event_prefix)
            return StreamingResponse(body, media_type="text/event-stream", headers=headers)
        images = await work.images()
        return answer(_body(work, images), headers=headers)


class Edits(Generations):
    """Images, an optional mask and a text to an image."""

    event_prefix = "image_edit"

    async def read(self, request: Request) -> RawRequest:
        return await read_edit(request)

    async def order(self, given: RawRequest) -> JobSpec:
        arguments = parse(EditArguments, given.fields, strict=not given.is_form)
        files = given.files.get("image", [])
        if unknown := given.files.keys() - {"image", "mask"}:
            raise rejection(400, f"Unknown parameter: '{min(unknown)}'.", code="unknown_parameter")
        if not files:
            message = "Missing required parameter: 'image'."
            raise rejection(400, message, param="image", code="missing_required_parameter")
        if len(files) > MAX_IMAGES:
            raise too_many(len(files))
        sources = tuple([await self._decode(content, index) for index, content in enumerate(files)])
        masks = given.files.get("mask", [])
        return _order(arguments, sources, await self._mask(masks[0], sources[0]) if masks else None)

    async def _decode(self, content: bytes, index: int) -> Source:
        param = f"image[{index}]"
        if len(content) > MAX_IMAGE_BYTES:
            raise bad_image("Invalid image file: larger than 50 MB.", param)
        try:
            return await self._painters.run(partial(decode, content))
        except SourceInvalid as error:
            message = f"Invalid image file or mode for image {index + 1}, please check your image file."
            raise bad_image(message, param) from error

    async def _mask(self, content: bytes, first: Source) -> Source:
        if len(content) > MAX_MASK_BYTES:
            raise bad_image("Invalid mask: larger than 4 MB.", "mask")
        try:
            mask = await self._painters.run(partial(decode, content))
        except SourceInvalid as error:
            raise bad_image("Invalid mask image file.", "mask") from error
        if mask.image_format != "png" or not mask.has_alpha:
            raise bad_image("Invalid mask: it must be a PNG with an alpha channel.", "mask")
        if (mask.width, mask.height) != (first.width, first.height):
            raise bad_image("Invalid mask: its size must be that of the first image.", "mask")
        return mask


def _check_markers(arguments: OpenAIRequest) -> None:
    """Raise Rejected for a marker that has no effect on this kind of response."""
    try:
        names = {fault.name for fault in parse_markers(KINDS, arguments.prompt)}
    except FaultInvalid as error:
        raise rejection(400, f"simulator: {error}", param="prompt", code="invalid_value") from error
    idle = names & (BODY_FAULTS if arguments.stream else STREAM_FAULTS)
    if idle:
        message = f"simulator: {min(idle)} does nothing where stream is {arguments.stream}"
        raise rejection(400, message, param="prompt", code="invalid_value")


def _order(arguments: OpenAIRequest, sources: tuple[Source, ...], mask: Source | None = None) -> JobSpec:
    _check_markers(arguments)
    width, height = size_of(arguments, [(source.width, source.height) for source in sources])
    seed = secrets.randbits(32)
    return JobSpec(
        endpoint=arguments.model,
        prompt=arguments.prompt,
        picture=Picture(width, height, arguments.output_format, seed, arguments.n),
        arguments=arguments.model_dump(exclude={"prompt"}, exclude_none=True),
        sources=sources,
        mask=mask,
        transparent=arguments.background == "transparent",
        quality=max(1, arguments.output_compression),
    )


def _body(work: Work, images: list[bytes]) -> dict[str, Any]:
    return {
        "created": int(time.time()),
        **described(work.order),
        "data": [{"b64_json": b64encode(image).decode()} for image in images],
        "usage": usage(work.order, len(images)),
    }

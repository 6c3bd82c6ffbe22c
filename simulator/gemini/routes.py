"""`models/…:generateContent`: from the request to the response."""

import hmac
import secrets
from base64 import b64encode
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from simulator.core.faults.switches import Fault
from simulator.core.images.render import CONTENT_TYPES
from simulator.core.images.sources import Source, SourceInvalid, decode, from_base64
from simulator.core.jobs import Picture
from simulator.core.rejected import Rejected
from simulator.core.synchronous.job_spec import JobSpec, RawRequest
from simulator.core.synchronous.render_pool import RenderPool
from simulator.core.synchronous.work import Work
from simulator.core.wire import BodyInvalid, answer, read_json
from simulator.gemini.errors import invalid, invalid_key, new_response_id, no_key, rejection, rejection_for
from simulator.gemini.models import MODELS, Model
from simulator.gemini.requests import Blob, GeminiRequest, parse, pixels

MAX_BODY_BYTES = 20_971_520
MAX_THOUGHTS = 10
_THOUGHTS = 2  # drafts of a model that thinks
_TO_STANDARD = str.maketrans("-_", "+/")
_MIME_TYPES = ("image/png", "image/jpeg", "image/webp")


class GenerateContent:
    """Makes one image from text and images."""

    def __init__(self, key: str | None, render_pool: RenderPool) -> None:
        self._key = key
        self._painters = render_pool

    def new_id(self) -> str:
        return new_response_id()

    def headers(self, request_id: str) -> dict[str, str]:
        return {"vary": "X-Origin, Referer"}

    def check_key(self, request: Request) -> None:
        given = request.headers.get("x-goog-api-key") or request.query_params.get("key")
        if not given:
            raise no_key()
        if self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode()):
            raise invalid_key()

    async def read(self, request: Request) -> RawRequest:
        model = request.path_params["model"]
        if model not in MODELS:
            message = f"models/{model} is not found for API version v1beta, or cannot generateContent."
            raise rejection(404, message)
        try:
            body = await read_json(request, MAX_BODY_BYTES)
        except BodyInvalid as error:
            raise invalid(f"Invalid JSON payload received. {error}") from error
        if not isinstance(body, dict):
            raise invalid("Invalid JSON payload received. Expected an object.")
        return RawRequest({"model": model, "arguments": parse(body)})

    def prompt(self, given: RawRequest) -> str:
        arguments: GeminiRequest = given.fields["arguments"]
        return arguments.prompt()

    async def order(self, given: RawRequest) -> JobSpec:
        arguments: GeminiRequest = given.fields["arguments"]
        name: str = given.fields["model"]
        model, blobs = MODELS[name], arguments.blobs()
        if arguments.has_file():
            raise rejection(403, "You do not have permission to access the File or it may not exist.")
        if len(blobs) > model.max_inputs:
            raise invalid(f"Too many images: {len(blobs)}. The model takes at most {model.max_inputs}.")
        sources = tuple([await self._decode(blob) for blob in blobs])
        width, height = pixels(arguments, model, [(source.width, source.height) for source in sources])
        seed = arguments.generation_config.seed
        return JobSpec(
            endpoint=name,
            prompt=arguments.prompt(),
            picture=Picture(
                width, height, model.image_format, secrets.randbits(31) if seed is None else seed, 1
            ),
            arguments=arguments.generation_config.model_dump(by_alias=True, exclude_none=True),
            sources=sources,
        )

    async def _decode(self, blob: Blob) -> Source:
        if blob.mime_type not in _MIME_TYPES:
            raise invalid(f"Unsupported MIME type: {blob.mime_type}")
        try:
            # As in all of protobuf's JSON, either alphabet will do; the official client sends the other.
            content = from_base64(blob.data.translate(_TO_STANDARD))
        except SourceInvalid as error:
            raise invalid(
                "Invalid value at 'inline_data.data' (TYPE_BYTES), Base64 decoding failed"
            ) from error
        try:
            return await self._painters.run(partial(decode, content))
        except SourceInvalid as error:
            raise invalid("Unable to process input image. Please retry.") from error

    def refusal(self, fault: Fault) -> Rejected:
        return rejection_for(fault)

    def nonsense(self, message: str) -> Rejected:
        return invalid(message)

    async def answer(self, work: Work) -> Response:
        model, config = MODELS[work.order.endpoint], work.order.arguments
        images = await work.images()
        thoughts = await _thoughts(work, model)
        parts = list(thoughts)
        if "TEXT" in config["responseModalities"]:
            parts.append({"text": "Here is the picture."})
        if "IMAGE" in config["responseModalities"]:
            parts += [_signed(_inline(work, image), model) for image in images]
        body = {
            "candidates": [
                {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": _usage(work, model, len(images), len(thoughts)),
            "modelVersion": work.order.endpoint,
            "responseId": work.job.id,
        }
        return answer(body, headers=self.headers(work.job.id))


async def _thoughts(work: Work, model: Model) -> list[dict[str, Any]]:
    """Return pairs of a text and a draft, which come before the image."""
    asked = work.order.arguments["thinkingConfig"].get("includeThoughts")
    count = _THOUGHTS if (model.thinks if asked is None else asked) else 0
    if fault := work.fault("thoughts"):
        count = min(MAX_THOUGHTS, int(fault.number("count")))
    order, parts = work.order, []
    width, height = max(1, order.picture.width // 2), max(1, order.picture.height // 2)
    draft = replace(order.picture, width=width, height=height)
    for index in range(count):
        # Negative numbers: no draft is the picture that follows.
        image = await work.image(-1 - index, draft)
        parts.append({"text": f"Draft {index + 1}: weighing the composition.", "thought": True})
        parts.append({**_inline(work, image), "thought": True})
    return parts


def _inline(work: Work, image: bytes) -> dict[str, Any]:
    mime_type = CONTENT_TYPES[work.order.picture.image_format]
    return {"inlineData": {"mimeType": mime_type, "data": b64encode(image).decode()}}


def _signed(part: dict[str, Any], model: Model) -> dict[str, Any]:
    return {**part, "thoughtSignature": b64encode(secrets.token_bytes(48)).decode()} if model.thinks else part


def _usage(work: Work, model: Model, images: int, thoughts: int) -> dict[str, Any]:
    order = work.order
    text, inputs = len(order.prompt) // 4 + 1, model.tokens_per_input * len(order.sources)
    size = order.arguments["imageConfig"].get("imageSize") or "1K"
    output, thinking = images * model.tokens[size], thoughts * 60
    details = [{"modality": "TEXT", "tokenCount": text}]
    if inputs:
        details.append({"modality": "IMAGE", "tokenCount": inputs})
    return {
        "promptTokenCount": text + inputs,
        "candidatesTokenCount": output,
        "thoughtsTokenCount": thinking,
        "totalTokenCount": text + inputs + output + thinking,
        "promptTokensDetails": details,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": output}],
    }

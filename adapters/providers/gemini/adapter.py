"""Gemini's image models: `generateContent` responds with the image itself.

Reference: googleapis/python-genai and google-gemini/cookbook (read 2026-08-21). Not confirmed by them, and so
tolerated: names in snake_case as well as camelCase; the drafts of thinking models, which are parts marked as
thoughts before the image; RetryInfo on a 429. A 503 UNAVAILABLE is Google's status for overloaded, to be sent
again later, so nothing was taken. What a response without an image costs is not stated: it counts as charged.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adapters.providers.gemini.errors import ERRORS
from adapters.providers.http.gateways import field_of
from adapters.providers.http.inline_images import (
    InlineImageClient,
    ParsedResponse,
    map_error_response,
    token_cost,
)
from adapters.providers.http.request_bodies import image_placeholders, json_body
from adapters.providers.http.responses import (
    MAX_MESSAGE_CHARACTERS,
    MAX_RETRY_AFTER_SECONDS,
    json_object,
)
from adapters.transport.http import Request, Response
from domain.errors import ServiceError
from domain.generation import GenerationRequest
from domain.provider import LocalInputFile, Submission, SyncResult

_SECONDS = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,9})?)s")
_NO_REASON = "BLOCK_REASON_UNSPECIFIED"


class GeminiProvider:
    """Requests one image per call: these models make no more."""

    name = "gemini"

    def __init__(self, client: InlineImageClient, *, key: str, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._headers = {"x-goog-api-key": key}

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        images = image_placeholders(submission.images)
        upload = json_body(_body(submission.request, images), images)
        url = f"{self._url}/models/{quote(submission.request.endpoint, safe='')}:generateContent"
        request = Request("POST", url, self._headers | upload.headers, content=upload)
        return await self._client.send(request, submission, folder, parse=_parse, map_error=_map_error)


def _body(request: GenerationRequest, images: Mapping[str, LocalInputFile]) -> dict[str, Any]:
    image_parts = [
        {"inlineData": {"mimeType": image.content_type, "data": placeholder}}
        for placeholder, image in images.items()
    ]
    given = request.parameters
    shape = {"aspectRatio": given.get("aspect_ratio"), "imageSize": given.get("resolution")}
    image_config = {name: value for name, value in shape.items() if value is not None}
    config = {"responseModalities": ["TEXT", "IMAGE"], **given.get("options", {})}
    if image_config:
        config["imageConfig"] = image_config
    if "seed" in given:
        config["seed"] = given["seed"]
    return {
        "contents": [{"role": "user", "parts": [{"text": request.prompt}, *image_parts]}],
        "generationConfig": config,
    }


def _parse(_headers: Mapping[str, str], body: Mapping[str, Any]) -> ParsedResponse:
    usage, response_id = field_of(body, "usageMetadata"), field_of(body, "responseId")
    cost = token_cost(field_of(usage, "totalTokenCount"))
    feedback = field_of(body, "promptFeedback")
    if (reason := field_of(feedback, "blockReason")) and reason != _NO_REASON:
        mapping = ERRORS.get(f"blockReason {reason}", ERRORS["blockReason"])
        message = f"gemini: blockReason {reason} {field_of(feedback, 'blockReasonMessage') or ''}"
        return ParsedResponse(response_id, message=message, cost=cost, failure=mapping)
    candidate = _first(field_of(body, "candidates"))
    reason = field_of(candidate, "finishReason")
    parts = _list(field_of(field_of(candidate, "content"), "parts"))
    final = [part for part in parts if isinstance(part, dict) and part.get("thought") is not True]
    text = " ".join(part["text"] for part in final if isinstance(part.get("text"), str))
    details = f"{field_of(candidate, 'finishMessage') or ''} {text[:MAX_MESSAGE_CHARACTERS]}"
    message = f"gemini: finishReason {reason} {details}"
    found = [field_of(field_of(part, "inlineData"), "data") for part in final]
    images = [image for image in found if isinstance(image, str)]
    return ParsedResponse(
        response_id, images[-1:], message, cost, failure=ERRORS.get(f"finishReason {reason}")
    )


def _map_error(response: Response) -> ServiceError:
    body = json_object(response)
    error = body.get("error")
    status = response.status_code
    details = [detail for detail in _list(field_of(error, "details")) if isinstance(detail, dict)]
    reasons = [f"{status} {detail.get('reason')}" for detail in details]
    message = f"gemini: {status} {field_of(error, 'status')} {field_of(error, 'message') or response.text}"
    pauses = [_SECONDS.fullmatch(str(field_of(detail, "retryDelay"))) for detail in details]
    pause = next((min(float(found[1]), MAX_RETRY_AFTER_SECONDS) for found in pauses if found), None)
    names = (*reasons, f"{status} {field_of(error, 'status')}")
    return map_error_response(ERRORS, names, response, message, pause_seconds=pause)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(value: object) -> object:
    return next(iter(_list(value)), None)

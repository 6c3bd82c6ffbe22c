"""Gemini's image models, which answer `generateContent` with the image itself.

Reference: googleapis/python-genai and google-gemini/cookbook (read 2026-08-21). Not confirmed by them, and so
tolerated: names in snake_case as well as camelCase; the drafts of thinking models, which are parts marked as
thoughts before the image; RetryInfo on a 429. A 503 UNAVAILABLE is what Google calls overloaded, to be sent
again later, so nothing was taken. What is charged for an answer without an image is not said: it counts as
charged.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from adapters.providers.answers import json_object
from adapters.providers.meanings import Meaning, Meanings
from adapters.providers.spool import BROKEN_IMAGE, NO_IMAGE, Reading, Spool, refusal, tokens
from adapters.providers.uploads import json_body, markers
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.generation import GenerationRequest
from domain.moderation import ModeratedAt
from domain.provider import LocalInputFile, Submission, SyncResult

_SECONDS = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,9})?)s")
_LONGEST_PAUSE_SECONDS = 3600.0
_NO_REASON = "BLOCK_REASON_UNSPECIFIED"
_MOST_WORDS = 2000


class GeminiProvider:
    """One image a call: these models make no more."""

    name = "gemini"

    def __init__(self, spool: Spool, *, key: str, url: str) -> None:
        self._spool = spool
        self._url = url.rstrip("/")
        self._headers = {"x-goog-api-key": key}

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        images = markers(submission.images)
        upload = json_body(_body(submission.request, images), images)
        request = self._spool.http.build_request(
            "POST",
            f"{self._url}/models/{quote(submission.request.endpoint, safe='')}:generateContent",
            headers=self._headers | upload.headers,
            content=upload,
        )
        return await self._spool.generate(request, submission, folder, read=_read, refuse=_refuse)


def _body(request: GenerationRequest, images: Mapping[str, LocalInputFile]) -> dict[str, Any]:
    pictures = [
        {"inlineData": {"mimeType": image.content_type, "data": marker}} for marker, image in images.items()
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
        "contents": [{"role": "user", "parts": [{"text": request.prompt}, *pictures]}],
        "generationConfig": config,
    }


def _read(_headers: httpx.Headers, body: Mapping[str, Any]) -> Reading:
    usage, answer_id = _get(body, "usageMetadata"), _get(body, "responseId")
    cost = tokens(_get(usage, "totalTokenCount"))
    feedback = _get(body, "promptFeedback")
    if (reason := _get(feedback, "blockReason")) and reason != _NO_REASON:
        meaning = ERRORS.get(f"blockReason {reason}", ERRORS["blockReason"])
        words = f"gemini: blockReason {reason} {_get(feedback, 'blockReasonMessage') or ''}"
        return Reading(answer_id, words=words, cost=cost, failure=meaning)
    candidate = _first(_get(body, "candidates"))
    reason = _get(candidate, "finishReason")
    parts = _list(_get(_get(candidate, "content"), "parts"))
    final = [part for part in parts if isinstance(part, dict) and part.get("thought") is not True]
    text = " ".join(part["text"] for part in final if isinstance(part.get("text"), str))
    words = f"gemini: finishReason {reason} {_get(candidate, 'finishMessage') or ''} {text[:_MOST_WORDS]}"
    found = [_get(_get(part, "inlineData"), "data") for part in final]
    images = [image for image in found if isinstance(image, str)]
    return Reading(answer_id, images[-1:], words, cost, failure=ERRORS.get(f"finishReason {reason}"))


def _refuse(response: httpx.Response) -> ServiceError:
    body = json_object(response)
    error = body.get("error")
    status = response.status_code
    details = [detail for detail in _list(_get(error, "details")) if isinstance(detail, dict)]
    reasons = [f"{status} {detail.get('reason')}" for detail in details]
    words = f"gemini: {status} {_get(error, 'status')} {_get(error, 'message') or response.text}"
    pauses = [_SECONDS.fullmatch(str(_get(detail, "retryDelay"))) for detail in details]
    pause = next((min(float(found[1]), _LONGEST_PAUSE_SECONDS) for found in pauses if found), None)
    names = (*reasons, f"{status} {_get(error, 'status')}")
    return refusal(ERRORS, names, response, words, pause_seconds=pause)


def _get(place: object, name: str) -> Any:
    """A field by its name in camelCase or in snake_case; None if it is not there."""
    if not isinstance(place, dict):
        return None
    snake = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
    return place.get(name, place.get(snake))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(value: object) -> object:
    return next(iter(_list(value)), None)

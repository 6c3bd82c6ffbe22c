"""Together AI's images, which the answer itself carries.

Reference: the OpenAPI of together-python, as restated in public clients (read 2026-08-21). Not confirmed:
whether an edit model takes its image as a data URI; how content that is refused is worded, so a refusal whose
words say NSFW or safety is read as that, and as the image's fault if they say image and not prompt; and what
is charged for it. There is no cost in the answer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from adapters.providers.answers import json_object
from adapters.providers.meanings import Meaning, Meanings
from adapters.providers.spool import BROKEN_IMAGE, NO_IMAGE, Reading, Spool, refusal
from adapters.providers.uploads import json_body, markers
from domain.catalog import pixels
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderRefused,
    ProviderThrottled,
    ServiceError,
    SubmitAmbiguous,
)
from domain.moderation import ModeratedAt
from domain.provider import LocalInputFile, Submission, SyncResult

_REFUSALS = (400, 403, 422)
_REFUSING_WORDS = ("nsfw", "safety", "content policy")
_PASSED_ON = ("seed", "output_format", "aspect_ratio")


class TogetherProvider:
    """FLUX and its like, several images a call."""

    name = "together"

    def __init__(self, spool: Spool, *, key: str, url: str) -> None:
        self._spool = spool
        self._url = f"{url.rstrip('/')}/images/generations"
        self._headers = {"Authorization": f"Bearer {key}"}

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        images = markers(submission.images)
        upload = json_body(_body(submission, images), images)
        request = self._spool.http.build_request(
            "POST", self._url, headers=self._headers | upload.headers, content=upload
        )
        return await self._spool.generate(request, submission, folder, read=_read, refuse=_refuse)


def _body(submission: Submission, images: Mapping[str, LocalInputFile]) -> dict[str, Any]:
    request = submission.request
    given = request.parameters
    body = {"model": request.endpoint, "prompt": request.prompt, "n": request.n, "response_format": "base64"}
    body |= {name: given[name] for name in _PASSED_ON if name in given}
    if given.get("size", "auto") != "auto":
        body["width"], body["height"] = pixels(given["size"])
    body |= given.get("options", {})
    urls = [f"data:{image.content_type};base64,{marker}" for marker, image in images.items()]
    if len(urls) == 1:
        return body | {"image_url": urls[0]}
    return body | {"reference_images": urls} if urls else body


def _read(_headers: httpx.Headers, body: Mapping[str, Any]) -> Reading:
    data = body.get("data")
    items = data if isinstance(data, list) else []
    images = [item.get("b64_json") if isinstance(item, dict) else None for item in items]
    return Reading(body.get("id"), [image if isinstance(image, str) else None for image in images])


def _refuse(response: httpx.Response) -> ServiceError:
    error = json_object(response).get("error")
    words = f"together: {response.status_code} {error or response.text}"
    said = words.lower()
    is_content = response.status_code in _REFUSALS and any(word in said for word in _REFUSING_WORDS)
    name = "NSFW in the image" if "image" in said and "prompt" not in said else "NSFW"
    return refusal(ERRORS, (name,) if is_content else (), response, words)

"""Together AI's images, which are in the response.

Reference: the OpenAPI of together-python, as restated in public clients (read 2026-08-21). Not confirmed:
whether an edit model takes its image as a data URI; how refused content is worded, so an error that mentions
NSFW or safety is taken for that, and for the image's fault if it mentions the image and not the prompt; and
what is charged for it. There is no cost in the response.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.providers.http.inline_images import (
    InlineImageClient,
    ParsedResponse,
    base64_images,
    map_error_response,
)
from adapters.providers.http.request_bodies import data_uri, image_placeholders, json_body, parameters_named
from adapters.providers.http.responses import json_object
from adapters.providers.together.errors import ERRORS
from adapters.transport.http import Request, Response
from domain.errors import ServiceError
from domain.model_schema import pixels
from domain.provider import LocalInputFile, Submission, SyncResult

_REFUSED_STATUSES = (400, 403, 422)
_REFUSAL_WORDS = ("nsfw", "safety", "content policy")
_SAME_NAME = ("seed", "output_format", "aspect_ratio")


class TogetherProvider:
    """Sends one request for all images of a submission."""

    name = "together"

    def __init__(self, client: InlineImageClient, *, key: str, url: str) -> None:
        self._client = client
        self._url = f"{url.rstrip('/')}/images/generations"
        self._headers = {"Authorization": f"Bearer {key}"}

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        images = image_placeholders(submission.images)
        upload = json_body(_body(submission, images), images)
        request = Request("POST", self._url, self._headers | upload.headers, content=upload)
        return await self._client.send(request, submission, folder, parse=_parse, map_error=_map_error)


def _body(submission: Submission, images: Mapping[str, LocalInputFile]) -> dict[str, Any]:
    request = submission.request
    given = request.parameters
    body = {"model": request.endpoint, "prompt": request.prompt, "n": request.n, "response_format": "base64"}
    body |= parameters_named(_SAME_NAME, given)
    if given.get("size", "auto") != "auto":
        body["width"], body["height"] = pixels(given["size"])
    body |= given.get("options", {})
    urls = [data_uri(image, placeholder) for placeholder, image in images.items()]
    if len(urls) == 1:
        return body | {"image_url": urls[0]}
    return body | {"reference_images": urls} if urls else body


def _parse(_headers: Mapping[str, str], body: Mapping[str, Any]) -> ParsedResponse:
    return ParsedResponse(body.get("id"), base64_images(body))


def _map_error(response: Response) -> ServiceError:
    error = json_object(response).get("error")
    message = f"together: {response.status_code} {error or response.text}"
    lowered = message.lower()
    is_content = response.status_code in _REFUSED_STATUSES and any(word in lowered for word in _REFUSAL_WORDS)
    name = "NSFW in the image" if "image" in lowered and "prompt" not in lowered else "NSFW"
    return map_error_response(ERRORS, (name,) if is_content else (), response, message)

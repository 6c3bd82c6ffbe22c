"""OpenAI's Images API, which responds after minutes with the images themselves.

Reference: openai/openai-openapi 2.3.0 and openai/openai-python (read 2026-08-21): generations as JSON, edits
as a form. Not confirmed by it: `moderation_details`, which newer responses have and which alone says whether
the request or the image was refused (without it, it was the request); the 403 of an organization that is not
verified; and what is charged for a refused request, which counts as charged.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.providers.http.inline_images import (
    InlineImageClient,
    ParsedResponse,
    base64_images,
    map_error_response,
    token_cost,
)
from adapters.providers.http.request_bodies import form_body, parameters_named
from adapters.providers.http.responses import json_object
from adapters.providers.openai.errors import ERRORS
from adapters.providers.openai.stream import STREAM
from adapters.transport.http import Request, Response
from domain.errors import ServiceError
from domain.generation import GenerationRequest
from domain.provider import Submission, SyncResult

_PARAMETERS = ("n", "size", "quality", "background", "output_format")


class OpenAiProvider:
    """Sends generations, and edits where the request has images."""

    name = "openai"

    def __init__(self, client: InlineImageClient, *, key: str, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        fields = _fields(submission.request)
        if submission.images:
            files = [("image[]", image) for image in submission.images]
            if submission.mask is not None:
                files.append(("mask", submission.mask))
            form = form_body(fields, files)
            headers = self._headers | form.headers
            request = Request("POST", f"{self._url}/images/edits", headers, content=form)
        else:
            request = Request("POST", f"{self._url}/images/generations", self._headers, json=fields)
        stream = STREAM if fields.get("stream") else None
        return await self._client.send(
            request, submission, folder, parse=_parse, map_error=_map_error, stream=stream
        )


def _fields(request: GenerationRequest) -> dict[str, Any]:
    partial_images = request.parameters.get("partial_images")
    streamed = {"stream": True, "partial_images": partial_images} if partial_images else {}
    # `response_format` is never among them: these models refuse it.
    return {
        "model": request.endpoint,
        "prompt": request.prompt,
        **parameters_named(_PARAMETERS, request.parameters),
        "n": request.n,
        **request.parameters.get("options", {}),
        **streamed,
    }


def _parse(headers: Mapping[str, str], body: Mapping[str, Any]) -> ParsedResponse:
    usage = body.get("usage")
    return ParsedResponse(
        job_id=headers.get("x-request-id"),
        images=base64_images(body),
        cost=token_cost(usage.get("total_tokens")) if isinstance(usage, dict) else None,
    )


def _map_error(response: Response) -> ServiceError:
    error = json_object(response).get("error")
    if not isinstance(error, dict):
        error = {"message": response.text}
    details = error.get("moderation_details")
    stage = details.get("moderation_stage") if isinstance(details, dict) else None
    status, code, kind = response.status_code, error.get("code"), error.get("type")
    names = (f"{status} {code} {stage}", f"{status} {code}", f"{status} {kind}")
    message = f"openai: {status} {code} ({response.headers.get('x-request-id')}): {error.get('message')}"
    return map_error_response(ERRORS, names, response, message)

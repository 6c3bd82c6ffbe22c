"""OpenAI's Images API, which answers after minutes with the images themselves.

Reference: openai/openai-openapi 2.3.0 and openai/openai-python (read 2026-08-21): generations as JSON, edits
as a form. Not confirmed by it: `moderation_details`, which newer answers carry and which alone says whether
the request or the image was refused (without it, it was the request); the 403 of an organization that is not
verified; and what is charged for an answer that was refused, which counts as charged.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from adapters.providers.answers import json_object
from adapters.providers.meanings import Meaning, Meanings
from adapters.providers.spool import BROKEN_IMAGE, NO_IMAGE, Reading, Spool, refusal, tokens
from adapters.providers.uploads import form_body
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
from domain.provider import Submission, SyncResult

_PARAMETERS = ("n", "size", "quality", "background", "output_format")


class OpenAiProvider:
    """Generations, and edits where the request has images."""

    name = "openai"

    def __init__(self, spool: Spool, *, key: str, url: str) -> None:
        self._spool = spool
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}

    async def generate(self, submission: Submission, folder: Path) -> SyncResult:
        fields = _fields(submission.request)
        if submission.images:
            files = [("image[]", image) for image in submission.images]
            if submission.mask is not None:
                files.append(("mask", submission.mask))
            form = form_body(fields, files)
            request = self._spool.http.build_request(
                "POST", f"{self._url}/images/edits", headers=self._headers | form.headers, content=form
            )
        else:
            request = self._spool.http.build_request(
                "POST", f"{self._url}/images/generations", headers=self._headers, json=fields
            )
        return await self._spool.generate(request, submission, folder, read=_read, refuse=_refuse)


def _fields(request: GenerationRequest) -> dict[str, Any]:
    """`response_format` is never among them: these models refuse it."""
    given = {name: request.parameters[name] for name in _PARAMETERS if name in request.parameters}
    return {
        "model": request.endpoint,
        "prompt": request.prompt,
        **given,
        "n": request.n,
        **request.parameters.get("options", {}),
    }


def _read(headers: httpx.Headers, body: Mapping[str, Any]) -> Reading:
    data, usage = body.get("data"), body.get("usage")
    items = data if isinstance(data, list) else []
    images = [item.get("b64_json") if isinstance(item, dict) else None for item in items]
    return Reading(
        job_id=headers.get("x-request-id"),
        images=[image if isinstance(image, str) else None for image in images],
        cost=tokens(usage.get("total_tokens")) if isinstance(usage, dict) else None,
    )


def _refuse(response: httpx.Response) -> ServiceError:
    error = json_object(response).get("error")
    if not isinstance(error, dict):
        error = {"message": response.text}
    details = error.get("moderation_details")
    stage = details.get("moderation_stage") if isinstance(details, dict) else None
    status, code, kind = response.status_code, error.get("code"), error.get("type")
    names = (f"{status} {code} {stage}", f"{status} {code}", f"{status} {kind}")
    words = f"openai: {status} {code} ({response.headers.get('x-request-id')}): {error.get('message')}"
    return refusal(ERRORS, names, response, words)

"""OpenAI's stream of events, which a request with partial images gets: partial images, then the image.

Reference: openai/openai-python, its types of `images` (read 2026-11-26): `image_generation.partial_image` and
`.completed`, `image_edit.…` for edits, each with the image as `b64_json`. Not confirmed by it: the form of an
error within a stream.
"""

import base64
import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from adapters.providers.http.event_stream import StreamFormat, events_of
from adapters.providers.http.gateways import field_of
from adapters.transport.http import Response, response_of

_PARTIAL, _COMPLETED, _ERROR = ".partial_image", ".completed", "error"
_REQUEST_ID = "x-request-id"
_REFUSALS = {
    "moderation_blocked",
    "content_policy_violation",
    "invalid_request_error",
    "image_generation_user_error",
}


def _read_partial_image(event: bytes, folder: Path) -> tuple[int, Path] | None:
    found = next(events_of(event), {})
    index, image = found.get("partial_image_index"), found.get("b64_json")
    is_partial_image = str(found.get("type")).endswith(_PARTIAL)
    if not (is_partial_image and type(index) is int and isinstance(image, str)):
        return None
    path = folder / f"partial-{index}"
    try:
        path.write_bytes(base64.b64decode(image, validate=True))
    except (ValueError, OSError):
        return None
    return index, path


def _read_whole(headers: Mapping[str, str], body: bytes) -> dict[str, Any] | Response | None:
    """Return the images as `data`, or the error.

    What was begun may have been charged: an error is a refusal if it is named so, else one of the server.
    """
    images, usage = list[dict[str, Any]](), None
    for event in events_of(body):
        kind = str(event.get("type"))
        if kind.endswith(_COMPLETED):
            images.append({"b64_json": event.get("b64_json")})
            usage = event.get("usage")
        elif kind == _ERROR or event.get("error"):
            return _error(headers, event.get("error") or event)
    return {"data": images, "usage": usage} if images else None


def _error(headers: Mapping[str, str], error: object) -> Response:
    words = {str(field_of(error, name)) for name in ("code", "type")}
    status = HTTPStatus.INTERNAL_SERVER_ERROR if words.isdisjoint(_REFUSALS) else HTTPStatus.BAD_REQUEST
    ids = {_REQUEST_ID: headers[_REQUEST_ID]} if _REQUEST_ID in headers else {}
    return response_of(status, ids, json.dumps({"error": error}).encode())


STREAM = StreamFormat(_read_partial_image, _read_whole)

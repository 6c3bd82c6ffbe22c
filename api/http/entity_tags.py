"""ETag and If-None-Match (RFC 9110): a client that knows a job as it is gets no body."""

import hashlib
import json
from typing import Annotated, Any

from fastapi import Header, Response, status

from api.http.schemas.generations import GenerationView

IfNoneMatch = Annotated[str | None, Header(max_length=2000)]
_TAG_CHARACTERS = 32
# What changes by itself from one moment to the next, and says nothing new of the job.
_MOVING: dict[str, bool | set[str]] = {
    "live": True,
    "queue": {"retry_in_seconds"},
    "progress": {"elapsed_seconds", "updated_at", "typical_seconds"},
}
_KEPT_BY_CLIENTS = "private, no-cache"


def respond_unless_known(
    view: GenerationView, response: Response, if_none_match: str | None
) -> GenerationView | Response:
    """Set the entity tag; return 304 if it is among those that the client knows."""
    tag = entity_tag(view)
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = _KEPT_BY_CLIENTS
    if if_none_match is None or not _is_known(tag, if_none_match):
        return view
    return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=dict(response.headers))


def entity_tag(view: GenerationView) -> str:
    """Return a weak tag: two jobs with the same tag mean the same, though their links may be signed anew."""
    shown: dict[str, Any] = view.model_dump(mode="json", exclude=_MOVING)
    for image in shown["images"]:
        image["url"] = image["url"].partition("?")[0]
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()
    return f'W/"{digest[:_TAG_CHARACTERS]}"'


def _is_known(tag: str, if_none_match: str) -> bool:
    known = [each.strip() for each in if_none_match.split(",")]
    return "*" in known or tag.removeprefix("W/") in {each.removeprefix("W/") for each in known}

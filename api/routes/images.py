"""The stable address of an image."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, status
from fastapi.responses import RedirectResponse

from api.deps import READER_ERRORS, GenerationId, ServicesDep, reader_of
from api.http.client import client_of
from api.http.declarations import declares
from api.http.object_response import ObjectResponse
from api.http.response_headers import CACHED, CONTENT_RANGE, ENTITY_TAG, LOCATION
from api.services.image_copies import ImageCopies
from domain.auth import Scope
from domain.errors import ImageErased, ImageNotFound, LinkExpired, SignatureInvalid, StorageUnavailable
from domain.generation import Generation, Image
from domain.url_signatures import check_image_signature

router = APIRouter(prefix="/v1/generations", tags=["images"])
_LIFETIME = timedelta(minutes=5)
_BYTES: dict[str, Any] = {
    f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("png", "jpeg", "webp")
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": _BYTES, "headers": ENTITY_TAG | CACHED},
    206: {
        "content": _BYTES | {"multipart/byteranges": {"schema": {"type": "string", "format": "binary"}}},
        "headers": ENTITY_TAG | CACHED,
    },
    302: {"headers": LOCATION | CACHED},
    304: {"headers": ENTITY_TAG | CACHED},
    416: {"headers": CONTENT_RANGE},
}


async def _readable_generation(
    generation_id: GenerationId,
    index: int,
    request: Request,
    services: ServicesDep,
    signature: Annotated[str | None, Query(max_length=100)] = None,
) -> Generation:
    """Return the generation to a caller with our signature or an API key of its tenant."""
    if signature is not None:
        expired = None
        try:
            check_image_signature(services.keyring, generation_id, index, signature, datetime.now(UTC))
        except LinkExpired as error:  # it ended with the image, or before
            expired = error
        await client_of(request).mark_authenticated()
        generation = await services.generations.get_generation(generation_id)
        await services.tenants.require_active(generation.tenant_id)
        if expired is not None and generation.has_images_at(datetime.now(UTC)):
            raise expired
        return generation
    caller = await reader_of(request, services)
    return await services.generations.get_generation_of(caller.tenant_id, generation_id)


@router.head("/{generation_id}/images/{index}", include_in_schema=False)
@router.get("/{generation_id}/images/{index}", response_class=Response, responses=_RESPONSES)
@declares(
    *(*READER_ERRORS, SignatureInvalid, LinkExpired, ImageNotFound, ImageErased, StorageUnavailable),
    scope=Scope.READ_GENERATIONS,
    security=("bearer", "signature"),
)
async def get_image(
    index: int,
    request: Request,
    services: ServicesDep,
    generation: Annotated[Generation, Depends(_readable_generation)],
    signature: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Get an image: to an API key its bytes, with ranges; to our signature a redirect to the object store.

    A key is not redirected: many clients would take it along, and the store would see it and refuse.
    """
    image = next((image for image in generation.images if image.index == index), None)
    if image is None:
        raise ImageNotFound
    now = datetime.now(UTC)
    if not generation.has_images_at(now):
        raise ImageErased
    left = _left(generation, now)
    if signature is None:
        return await _send(generation.tenant_id, image, request, services.image_copies, left)
    url = await services.store.signed_url(image.key, method=request.method, lifetime=min(left, _LIFETIME))
    return RedirectResponse(url, status.HTTP_302_FOUND, headers={"Cache-Control": "private, no-store"})


def _left(generation: Generation, now: datetime) -> timedelta:
    """Return how long its images can still be had, in whole seconds."""
    if generation.images_expire_at is None:
        return timedelta.max
    return timedelta(seconds=max(1, int((generation.images_expire_at - now).total_seconds())))


async def _send(
    tenant_id: str, image: Image, request: Request, copies: ImageCopies, left: timedelta
) -> Response:
    """Return the image itself. Its bytes never change, so their hash is its entity tag."""
    tag = f'"{image.sha256}"'
    caching = f"private, max-age={int(min(left, _LIFETIME).total_seconds())}"
    headers = {"ETag": tag, "Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    known = (
        known.strip().removeprefix("W/") for known in request.headers.get("if-none-match", "").split(",")
    )
    if tag in known:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    if request.method == "HEAD":
        size = {"Content-Length": str(image.size_bytes), "Accept-Ranges": "bytes"}
        return Response(headers=headers | size, media_type=image.content_type)
    copy = AsyncExitStack()
    opening = copies.open_copy(tenant_id, image.key, client_of(request).waiting())
    path = await copy.enter_async_context(opening)
    return ObjectResponse(path, copy, media_type=image.content_type, headers=headers)

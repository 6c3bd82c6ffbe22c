"""The stable address of an image."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, status
from fastapi.responses import RedirectResponse

from api.deps import GenerationId, ServicesDep, _caller
from domain.auth import Scope
from domain.errors import ImageNotFound
from domain.generation import Generation
from domain.url_signatures import check_image_signature

router = APIRouter(prefix="/v1/generations", tags=["images"])
_LIFETIME = timedelta(minutes=5)


async def _readable_generation(
    generation_id: GenerationId,
    index: int,
    request: Request,
    services: ServicesDep,
    signature: Annotated[str | None, Query(max_length=100)] = None,
) -> Generation:
    """Return the generation to a caller with our signature or an API key of its tenant."""
    if signature is not None:
        check_image_signature(services.master_key, generation_id, index, signature)
        return await services.generations.get_generation(generation_id)
    caller = await _caller(request, services)
    caller.require(Scope.READ_GENERATIONS)
    return await services.generations.get_generation_of(caller.tenant_id, generation_id)


@router.head("/{generation_id}/images/{index}", include_in_schema=False)
@router.get("/{generation_id}/images/{index}")
async def get_image(
    index: int,
    request: Request,
    services: ServicesDep,
    generation: Annotated[Generation, Depends(_readable_generation)],
) -> RedirectResponse:
    """Redirect to a signed address in the object store that is valid for five minutes."""
    for image in generation.images:
        if image.index == index:
            url = await services.store.signed_url(image.key, method=request.method, lifetime=_LIFETIME)
            return RedirectResponse(
                url, status.HTTP_302_FOUND, headers={"Cache-Control": "private, no-store"}
            )
    raise ImageNotFound

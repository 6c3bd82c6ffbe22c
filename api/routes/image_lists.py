"""The images of a generation, without the rest of it."""

from fastapi import APIRouter, Response

from api.deps import ServicesDep
from api.http.accepted import RETRY_AFTER_SECONDS
from api.http.response_headers import RETRY_AFTER_IF_ANY
from api.http.schemas.generations import ImageList
from api.http.watching import WatchedGeneration

router = APIRouter(prefix="/v1/generations", tags=["images"])


@router.get("/{generation_id}/images", responses={200: {"headers": RETRY_AFTER_IF_ANY}})
async def list_images(generation: WatchedGeneration, services: ServicesDep, response: Response) -> ImageList:
    """List the images: none before the generation has completed, or once they were erased.

    As long as it has not ended, the response has `Retry-After`.
    """
    if not generation.status.is_terminal:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    view = services.serializer.serialize(generation)
    return ImageList(data=view.images, undelivered=view.undelivered)

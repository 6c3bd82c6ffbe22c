"""The images of a generation, without the rest of it."""

from fastapi import APIRouter

from api.deps import ServicesDep
from api.http.schemas.generations import ImageList
from api.http.watching import WatchedGeneration

router = APIRouter(prefix="/v1/generations", tags=["images"])


@router.get("/{generation_id}/images")
async def list_images(generation: WatchedGeneration, services: ServicesDep) -> ImageList:
    """List the images: none before the generation has completed, or once they were erased."""
    view = services.serializer.serialize(generation)
    return ImageList(data=view.images, undelivered=view.undelivered)

"""Partial images on their way into our storage, and out of it. No failure here is one of their generation."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from temporalio import activity

from domain.generation import GenerationRequest
from domain.partial_images import MAX_PARTIAL_IMAGES, PartialImage, partial_key, partial_keys
from domain.ports import ImageInspector, ObjectStore, PartialImageOwner, PartialImages
from domain.provider import AttemptRef, OnPartialImage

# Of one partial image, from its arrival to its event. What takes longer is not seen by anybody.
_MAX_SECONDS = 10.0

_Arrivals = asyncio.Queue[tuple[int, Path]]


class PartialImageRecorder:
    """Stores partial images beside the submit that they come with, and tells of them."""

    def __init__(self, partial_images: PartialImages, inspector: ImageInspector, store: ObjectStore) -> None:
        self._partial_images = partial_images
        self._inspector = inspector
        self._store = store

    @asynccontextmanager
    async def recording(
        self, attempt: AttemptRef, request: GenerationRequest
    ) -> AsyncIterator[OnPartialImage | None]:
        """Yield what a partial image is given to; None if none was asked for.

        It returns at once. What is not stored at the end of the block is dropped.
        """
        if not request.parameters.get("partial_images"):
            yield None
            return
        arrivals: _Arrivals = asyncio.Queue(MAX_PARTIAL_IMAGES)

        def take(partial_index: int, path: Path) -> None:
            if not arrivals.full() and 0 <= partial_index < MAX_PARTIAL_IMAGES:
                arrivals.put_nowait((partial_index, path))

        storing = asyncio.create_task(self._store_all(attempt.generation_id, arrivals))
        try:
            yield take
        finally:
            storing.cancel()
            await asyncio.wait((storing,))

    async def _store_all(self, generation_id: str, arrivals: _Arrivals) -> None:
        while True:
            partial_index, path = await arrivals.get()
            try:
                async with asyncio.timeout(_MAX_SECONDS):
                    await self._store_one(generation_id, partial_index, path)
            except Exception as error:  # noqa: BLE001 - whatever it is, the image itself still comes
                name = type(error).__name__
                activity.logger.warning("partial image %d of %s: %s", partial_index, generation_id, name)

    async def _store_one(self, generation_id: str, partial_index: int, path: Path) -> None:
        owner = await self._partial_images.expect_partial_images(generation_id)
        if owner is None:
            return
        key = partial_key(owner.tenant_id, generation_id, 0, partial_index)
        async with self._inspector.prepare_image(path, owner.tenant_id) as image:
            facts = image.facts
            await self._store.put_object(key, image.path, facts)
        stored = PartialImage(
            0, partial_index, facts.width, facts.height, facts.content_type, facts.size_bytes
        )
        await self._partial_images.record(generation_id, stored)


class PartialImageEraser:
    """Deletes the partial images of generations that ended a while ago."""

    def __init__(self, partial_images: PartialImages, store: ObjectStore) -> None:
        self._partial_images = partial_images
        self._store = store

    async def list_due(self, age: timedelta, limit: int) -> Sequence[PartialImageOwner]:
        return await self._partial_images.list_to_delete(age, limit)

    async def erase(self, owner: PartialImageOwner) -> Mapping[str, int]:
        """Delete the objects first: a row without objects is found again, the reverse never is."""
        keys = partial_keys(owner.tenant_id, owner.generation_id)
        deleted = await self._store.delete_objects(keys)
        await self._partial_images.mark_deleted(owner.generation_id)
        return {"partial_images_deleted": deleted}

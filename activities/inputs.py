"""The client's images on their way to a provider."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from domain.generation import GenerationRequest
from domain.ports import Files, ObjectStore
from domain.provider import InputImage


class Inputs:
    """Fetches stored inputs to local files, for as long as a submit lasts."""

    def __init__(self, files: Files, store: ObjectStore) -> None:
        self._files = files
        self._store = store

    @asynccontextmanager
    async def opened(
        self, request: GenerationRequest
    ) -> AsyncIterator[tuple[tuple[InputImage, ...], InputImage | None]]:
        """The images in order, and the mask. Raises StorageUnavailable, FileNotFound."""
        async with AsyncExitStack() as stack:
            images = await self._fetch(stack, request.inputs)
            masks = await self._fetch(stack, [request.mask] if request.mask else [])
            yield images, masks[0] if masks else None

    async def _fetch(self, stack: AsyncExitStack, file_ids: Sequence[str]) -> tuple[InputImage, ...]:
        images = []
        for file in await self._files.get(file_ids) if file_ids else ():
            path = await stack.enter_async_context(self._store.fetch(file.key))
            facts = file.facts
            images.append(InputImage(path, facts.content_type, facts.width, facts.height))
        return tuple(images)

"""Clients' input files, as local files for the time of a submit."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from domain.generation import GenerationRequest
from domain.ports import InputFiles, ObjectStore
from domain.provider import LocalInputFile


class InputFileLoader:
    """Copies input files to local files, for as long as a submit lasts."""

    def __init__(self, files: InputFiles, store: ObjectStore) -> None:
        self._files = files
        self._store = store

    @asynccontextmanager
    async def load(
        self, request: GenerationRequest
    ) -> AsyncIterator[tuple[tuple[LocalInputFile, ...], LocalInputFile | None]]:
        """Open the images in order, and the mask. Raises StorageUnavailable, FileNotFound."""
        async with AsyncExitStack() as stack:
            images = await self._open(stack, request.inputs)
            masks = await self._open(stack, [request.mask] if request.mask else [])
            yield images, masks[0] if masks else None

    async def _open(self, stack: AsyncExitStack, file_ids: Sequence[str]) -> tuple[LocalInputFile, ...]:
        images = []
        for file in await self._files.get_files(file_ids) if file_ids else ():
            path = await stack.enter_async_context(self._store.open_object(file.key))
            facts = file.facts
            images.append(LocalInputFile(path, facts.content_type, facts.width, facts.height))
        return tuple(images)

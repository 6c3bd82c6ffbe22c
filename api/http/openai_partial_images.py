"""A stream in OpenAI's form that begins while the job runs: partial images, then the images or an error."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException

from api.http.openai_responses import base64_pieces, partial_event
from domain.errors import ServiceError, TenantSuspended, Unauthenticated
from domain.generation import Generation
from domain.partial_images import PartialImage, partial_key

_HEARTBEAT = b":\n\n"


@dataclass(frozen=True)
class PartialImagesBody:
    """The partial images of a job, as they come, and what it ends with.

    Attributes:
        first: The partial image with which it begins.
        kind: `image_generation` or `image_edit`.
        open_object: Opens a copy of an object by its key.
        ending: Returns the rest of the stream, once the partial images are over.
    """

    generation: Generation
    kind: str
    first: PartialImage
    others: AsyncGenerator[PartialImage | None]
    open_object: Callable[[str], AbstractAsyncContextManager[Path]]
    ending: Callable[[], AsyncGenerator[bytes, None]]

    @property
    def length(self) -> None:
        return None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the stream. A partial image that cannot be read now is left out."""
        async with aclosing(self.others):
            async for piece in self._partial_image(self.first):
                yield piece
            try:
                async for image in self.others:
                    if image is None:
                        yield _HEARTBEAT
                        continue
                    async for piece in self._partial_image(image):
                        yield piece
            # The client is gone, which whoever sends this sees; or its key, which may get no more.
            except (HTTPException, Unauthenticated, TenantSuspended):
                yield _HEARTBEAT
                return
        async with aclosing(self.ending()) as rest:
            async for piece in rest:
                yield piece

    async def _partial_image(self, image: PartialImage) -> AsyncGenerator[bytes, None]:
        generation = self.generation
        key = partial_key(generation.tenant_id, generation.id, image.index, image.partial_index)
        async with AsyncExitStack() as stack:
            try:
                path = await stack.enter_async_context(self.open_object(key))
            except (ServiceError, HTTPException):
                return
            before, behind = partial_event(generation, image, self.kind)
            yield before.encode()
            async for piece in base64_pieces(path):
                yield piece
            yield behind.encode()

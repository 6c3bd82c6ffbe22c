"""The ImageInspector port in this process: what a child does, without its limits."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.images.child.masks import invert_alpha
from adapters.images.child.preparation import prepare
from domain.input_files import ImageFacts, PreparedImage


class LocalInspector:
    """Decodes pictures of tests, which need no guard."""

    def __init__(self, *, max_pixels: int) -> None:
        self._max_pixels = max_pixels

    @asynccontextmanager
    async def prepare_image(
        self, path: Path, tenant_id: str, *, is_upright_wanted: bool = False
    ) -> AsyncIterator[PreparedImage]:
        with tempfile.NamedTemporaryFile() as file:
            target = Path(file.name)
            reply = await asyncio.to_thread(
                prepare,
                path,
                target,
                max_pixels=self._max_pixels,
                memory_bytes=512_000_000,
                is_upright_wanted=is_upright_wanted,
                is_stripped=True,
            )
            assert reply.facts is not None
            yield PreparedImage(target if reply.is_rewritten else path, reply.facts, reply.source_sha256)

    async def facts_of(self, path: Path) -> ImageFacts:
        async with self.prepare_image(path, "") as image:
            return image.facts


async def invert_alpha_here(source: Path, target: Path) -> None:
    await asyncio.to_thread(invert_alpha, source, target)

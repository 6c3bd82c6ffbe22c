"""Masks in the form that a provider wants, where it differs from ours."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from PIL import Image, ImageChops

from domain.provider import LocalInputFile


@asynccontextmanager
async def white_where_transparent(mask: LocalInputFile) -> AsyncIterator[LocalInputFile]:
    """Convert our mask, a PNG whose transparent part is to be repainted, to white on black.

    The new file is in the same folder, and is deleted afterwards.
    """
    with tempfile.NamedTemporaryFile(prefix="mask-", suffix=".png", dir=mask.path.parent) as file:
        await asyncio.to_thread(_invert_alpha, mask.path, file)
        yield replace(mask, path=Path(file.name))


def _invert_alpha(source: Path, target: IO[bytes]) -> None:
    with Image.open(source, formats=("PNG",)) as image:
        ImageChops.invert(image.getchannel("A")).save(target, "png")
    target.flush()

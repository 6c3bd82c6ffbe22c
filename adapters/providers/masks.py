"""Masks as a provider wants them, where that is another way than ours."""

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
    """Our mask, a PNG whose alpha says what to paint anew, as one that says it in white on black.

    The file lies beside the mask's own, and is gone afterwards.
    """
    with tempfile.NamedTemporaryFile(prefix="mask-", suffix=".png", dir=mask.path.parent) as file:
        await asyncio.to_thread(_invert_alpha, mask.path, file)
        yield replace(mask, path=Path(file.name))


def _invert_alpha(source: Path, target: IO[bytes]) -> None:
    with Image.open(source, formats=("PNG",)) as image:
        ImageChops.invert(image.getchannel("A")).save(target, "png")
    target.flush()

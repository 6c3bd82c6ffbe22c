"""Masks in the form that a provider wants, where it differs from ours."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from domain.provider import LocalInputFile

# Writes the first file, a PNG, to the second, which is empty: white where it is transparent, else black.
InvertAlpha = Callable[[Path, Path], Awaitable[None]]


@asynccontextmanager
async def white_where_transparent(
    mask: LocalInputFile, invert_alpha: InvertAlpha
) -> AsyncIterator[LocalInputFile]:
    """Convert our mask, a PNG whose transparent part is to be repainted, to white on black.

    The new file is in the same folder, and is deleted afterwards.
    """
    with tempfile.NamedTemporaryFile(prefix="mask-", suffix=".png", dir=mask.path.parent) as file:
        await invert_alpha(mask.path, Path(file.name))
        yield replace(mask, path=Path(file.name))

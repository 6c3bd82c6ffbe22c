"""Images as the rest of the service sees them: a path in, facts and a file to store out."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import IO

from adapters.images.decoder_pool import DecoderPool
from adapters.images.messages import DecodeRequest
from domain.errors import ImageDecoderUnavailable
from domain.input_files import PreparedImage


class PooledInspector:
    """Has each image decoded by a child of the pool. is_stripped: whether metadata is removed."""

    def __init__(self, pool: DecoderPool, *, is_stripped: bool) -> None:
        self._pool = pool
        self._is_stripped = is_stripped

    @asynccontextmanager
    async def prepare_image(
        self, path: Path, tenant_id: str, *, is_upright_wanted: bool = False
    ) -> AsyncIterator[PreparedImage]:
        with _temporary_file() as target:
            request = DecodeRequest(
                str(path), target.name, is_upright_wanted=is_upright_wanted, is_stripped=self._is_stripped
            )
            reply = await self._pool.decode(request, tenant_id)
            if reply.facts is None:
                raise ImageDecoderUnavailable("a reply without facts")
            stored = Path(target.name) if reply.is_rewritten else path
            yield PreparedImage(stored, reply.facts, reply.source_sha256)


def _temporary_file() -> AbstractContextManager[IO[bytes]]:
    try:
        return tempfile.NamedTemporaryFile(prefix="darkroom-")
    except OSError as error:
        raise ImageDecoderUnavailable(f"no temporary file: {error}") from error


async def invert_alpha(pool: DecoderPool, source: Path, target: Path) -> None:
    """Write a mask in the form that some providers want. Raises like `DecoderPool.decode`."""
    # A submit does not know its tenant, so masks have one turn together.
    await pool.decode(DecodeRequest(str(source), str(target), task="white_mask"), "")

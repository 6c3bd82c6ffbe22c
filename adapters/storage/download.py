"""Fetching a result: from allowed hosts only, whole or not at all, under a cap of bytes and of time."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO

from adapters.resolver import on_behalf_of
from adapters.storage.address_guard import is_allowed, origin
from adapters.transport.bodies import Body, BrokenBodyError, UnknownEncodingError
from adapters.transport.errors import HttpError
from adapters.transport.http import GuardedPool, InvalidUrl, Url
from domain.errors import ResultExpired, ResultUnavailable, ResultUnusable

_MAX_REDIRECTS = 3
_GONE = (401, 403, 404, 410)
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"Accept-Encoding": "identity", "Accept": "image/*", "User-Agent": "darkroom"}


class GuardedDownloader:
    """Downloads to a temporary file that is gone when the caller is done with it."""

    def __init__(self, pool: GuardedPool, *, max_bytes: int, total_seconds: float) -> None:
        self._pool = pool
        self._largest_bytes = max_bytes
        self._total_seconds = total_seconds

    @asynccontextmanager
    async def download(self, url: str, hosts: Sequence[str], *, tenant_id: str = "") -> AsyncIterator[Path]:
        with tempfile.NamedTemporaryFile(prefix="darkroom-") as file:
            try:
                # The client's own time limits are per read; a body that drips would never meet them.
                async with asyncio.timeout(self._total_seconds):
                    with on_behalf_of(tenant_id):
                        await self._follow(_parse(url), hosts, file.file)
            except TimeoutError as error:
                raise ResultUnavailable(f"download took over {self._total_seconds} s") from error
            except (HttpError, BrokenBodyError) as error:
                raise ResultUnavailable(f"download: {error}") from error
            except UnknownEncodingError as error:
                raise ResultUnusable(f"the result came with {error}") from error
            file.flush()
            yield Path(file.name)

    async def _follow(self, url: Url, hosts: Sequence[str], file: IO[bytes]) -> None:
        for _ in range(_MAX_REDIRECTS + 1):
            if not is_allowed(url, hosts):
                raise ResultUnusable(f"{origin(url)} is not where this provider serves results from")
            location = await self._read(url, file)
            if location is None:
                return
            url = _parse(location, url)
        raise ResultUnusable(f"more than {_MAX_REDIRECTS} redirects")

    async def _read(self, url: Url, file: IO[bytes]) -> str | None:
        """Write the body to the file, or return where a redirect points."""
        async with self._pool.stream(url, _HEADERS) as response:
            status, headers = response.status_code, response.headers
            if status in _REDIRECTS and "location" in headers:
                return headers["location"]
            if status in _GONE:
                raise ResultExpired(f"result responded with {status}")
            if status != HTTPStatus.OK:
                raise ResultUnavailable(f"result responded with {status}")
            body, total = Body(headers.get("content-encoding", "")), 0
            async for chunk in response.chunks:
                for piece in body.pieces(chunk):
                    total += len(piece)
                    if total > self._largest_bytes:
                        raise ResultUnusable(f"the result is over {self._largest_bytes} bytes")
                    file.write(piece)
            body.end()
            return None


def _parse(url: str, base: Url | None = None) -> Url:
    try:
        return Url(url) if base is None else base.join(url)
    except (InvalidUrl, ValueError) as error:
        raise ResultUnusable("the result's address is malformed") from error

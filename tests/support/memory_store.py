"""An object store in memory, which passes the same suite as the real ones."""

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from domain.errors import StorageUnavailable
from domain.input_files import ImageFacts


@dataclass(frozen=True)
class Served:
    """The response to a request for a signed address."""

    status: int
    content_type: str = ""
    size_bytes: int = 0
    content: bytes = b""


class MemoryStore:
    """The ObjectStore port. `objects` holds bytes by key, `types` the content types they were put with.

    While `is_away` is true every call fails, as with a server that cannot be reached.
    """

    def __init__(self, *, is_away: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.is_away = is_away
        self._clock = clock
        self._signed: dict[str, tuple[str, str, float]] = {}

    async def put_object(self, key: str, path: Path, facts: ImageFacts) -> None:
        self._reach()
        content = path.read_bytes()  # noqa: ASYNC240 - a small file, in a test
        if len(content) != facts.size_bytes:
            raise StorageUnavailable(f"{len(content)} bytes for {facts.size_bytes}")
        self.objects[key], self.types[key] = content, facts.content_type

    @asynccontextmanager
    async def open_object(self, key: str) -> AsyncIterator[Path]:
        self._reach()
        if key not in self.objects:
            raise StorageUnavailable("no such object")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object"
            path.write_bytes(self.objects[key])
            yield path

    async def delete_objects(self, keys: Sequence[str]) -> int:
        self._reach()
        found = [key for key in keys if key in self.objects]
        for key in found:
            del self.objects[key], self.types[key]
        return len(found)

    async def signed_url(self, key: str, *, method: str, lifetime: timedelta) -> str:
        """Sign without a request, so it works while the store is away."""
        seconds = lifetime.total_seconds()
        url = f"memory://store/{key}?seconds={seconds:.0f}&signature={uuid4().hex}"
        self._signed[url] = (method, key, self._clock() + seconds)
        return url

    def serve(self, method: str, url: str) -> Served:
        """Open a signed address, as a browser does."""
        signed_method, key, expires_at = self._signed.get(url, ("", "", 0.0))
        if method != signed_method or self._clock() >= expires_at:
            return Served(403)
        if key not in self.objects:
            return Served(404)
        content = self.objects[key]
        return Served(200, self.types[key], len(content), content if method == "GET" else b"")

    def _reach(self) -> None:
        if self.is_away:
            raise StorageUnavailable

"""An object store in memory, which passes the same suite as the real ones."""

from datetime import timedelta
from pathlib import Path

from domain.ports import ImageFacts


class MemoryStore:
    """The ObjectStore port. `objects` holds bytes by key, `types` the content types they were put with."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}

    async def put(self, key: str, path: Path, facts: ImageFacts) -> None:
        content = path.read_bytes()  # noqa: ASYNC240 - a small file, in a test
        assert len(content) == facts.size_bytes
        self.objects[key], self.types[key] = content, facts.content_type

    async def delete_under(self, prefix: str) -> int:
        keys = [key for key in self.objects if key.startswith(prefix)]
        for key in keys:
            del self.objects[key]
        return len(keys)

    async def signed_url(self, key: str, *, method: str, lifetime: timedelta) -> str:
        return f"memory://{key}?method={method}&seconds={lifetime.total_seconds():.0f}"

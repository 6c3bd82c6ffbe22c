"""Generations in memory, as far as activities read them."""

from collections.abc import Sequence

from domain.generation import Generation, GenerationRequest, Status
from domain.ports import Page
from tests.support.memory_books import MemoryBooks


class MemoryGenerations:
    """The Generations port of a world without an API: only `get` is ever called there."""

    def __init__(self, books: MemoryBooks) -> None:
        self._books = books

    async def get(self, generation_id: str) -> Generation:
        return self._books.row(generation_id).generation()

    async def get_for(self, tenant_id: str, generation_id: str) -> Generation:
        raise AssertionError(generation_id)

    async def create(
        self, tenant_id: str, request: GenerationRequest, key: str | None, fingerprint: str
    ) -> tuple[Generation, bool]:
        raise AssertionError(request)

    async def find_by_key(self, tenant_id: str, key: str) -> tuple[Generation, str] | None:
        raise AssertionError(key)

    async def list_for(
        self, tenant_id: str, *, status: Status | None, after: Page | None, limit: int
    ) -> Sequence[Generation]:
        raise AssertionError(tenant_id)

    async def request_cancel(self, tenant_id: str, generation_id: str) -> Generation:
        raise AssertionError(generation_id)

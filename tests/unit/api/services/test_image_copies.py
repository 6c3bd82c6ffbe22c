"""How many copies of images lie on the disk at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from starlette.exceptions import HTTPException

from api.http.client import RequestClient
from api.services.image_copies import ImageCopies
from domain.errors import Overloaded, StorageUnavailable
from tests.support.eventually import eventually
from tests.support.memory_store import MemoryStore


def store() -> MemoryStore:
    full = MemoryStore()
    full.objects["image"] = b"pixels"
    return full


async def test_a_tenant_has_a_few_copies_and_leaves_the_others_theirs() -> None:
    copies = ImageCopies(store(), max_copies=9, max_per_tenant=2, wait_seconds=0.05)
    async with AsyncExitStack() as held:
        paths = [await held.enter_async_context(copies.open_copy("anna", "image")) for _ in range(2)]
        with pytest.raises(HTTPException) as refused:
            await held.enter_async_context(copies.open_copy("anna", "image"))
        paths.append(await held.enter_async_context(copies.open_copy("bert", "image")))
        assert [path.read_bytes() for path in paths] == [b"pixels"] * 3
    assert refused.value.status_code == 429

    async with copies.open_copy("anna", "image") as path:
        assert path.exists()
    assert not path.exists()


async def test_all_tenants_together_have_so_many_copies() -> None:
    copies = ImageCopies(store(), max_copies=2, max_per_tenant=1, wait_seconds=0.05)
    async with AsyncExitStack() as held:
        for tenant in ("anna", "bert"):
            await held.enter_async_context(copies.open_copy(tenant, "image"))
        with pytest.raises(Overloaded):
            await held.enter_async_context(copies.open_copy("cleo", "image"))
    async with copies.open_copy("cleo", "image"):
        pass


async def test_a_copy_that_fails_leaves_its_place() -> None:
    copies = ImageCopies(store(), max_copies=1, max_per_tenant=1, wait_seconds=0.05)
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            async with copies.open_copy("anna", "missing"):
                pytest.fail("there is no such object")


async def test_who_waits_for_a_copy_ends_with_its_client() -> None:
    copies = ImageCopies(store(), max_per_tenant=1, wait_seconds=1000)
    client = RequestClient("203.0.113.1")

    async def read() -> None:
        async with copies.open_copy("anna", "image", client.waiting()):
            pytest.fail("the client is gone")

    async with copies.open_copy("anna", "image"):
        waiting = asyncio.create_task(read())
        await eventually(lambda: client._wait is not None)
        client.mark_gone()
        with pytest.raises(HTTPException):
            await waiting

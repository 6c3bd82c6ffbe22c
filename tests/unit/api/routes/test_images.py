"""A read of an image with a key takes one of its tenant's copies, if it takes the image's bytes at all."""

from types import SimpleNamespace

import pytest
from fastapi import FastAPI

from api.http import problems
from api.http.client import RequestClient
from api.routes import images
from api.services.image_copies import ImageCopies
from domain.auth import Caller, Scope
from domain.generation import Image
from tests.support.memory_store import MemoryStore
from tests.unit.api.client import client_of

KEY = {"Authorization": "Bearer key"}
PATH = "/v1/generations/gen_1/images/0"
IMAGE = Image(0, "image", 1, 1, "image/png", 6, "a" * 64)


class Keys:
    """One key, without limits; and the one generation."""

    async def identify_caller(self, api_key: str, client: RequestClient) -> Caller:
        return Caller("anna", "key_1", frozenset(Scope))

    def take(self, *_: object) -> None:
        pass

    def allowance(self, *_: object) -> None:
        pass

    async def get_generation_of(self, tenant_id: str, generation_id: str) -> SimpleNamespace:
        return SimpleNamespace(
            tenant_id=tenant_id, images=[IMAGE], images_expire_at=None, has_images_at=lambda _: True
        )


@pytest.fixture
def copies() -> ImageCopies:
    store = MemoryStore()
    store.objects[IMAGE.key] = b"pixels"
    return ImageCopies(store, max_per_tenant=1, wait_seconds=0.05)


async def test_a_tenants_reads_wait_for_one_another(copies: ImageCopies) -> None:
    app, keys = FastAPI(), Keys()
    app.include_router(images.router)
    problems.install(app)
    app.state.services = SimpleNamespace(
        key_guard=keys, rate_limiter=keys, generations=keys, image_copies=copies
    )
    async with client_of(app) as http:
        async with copies.open_copy("anna", IMAGE.key):
            refused = await http.get(PATH, headers=KEY)
            looked_at = await http.head(PATH, headers=KEY)
            known = await http.get(PATH, headers=KEY | {"If-None-Match": f'"{IMAGE.sha256}"'})
        async with copies.open_copy("bert", IMAGE.key):
            read = [await http.get(PATH, headers=KEY) for _ in range(3)]

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_at_once")
    assert (looked_at.status_code, known.status_code) == (200, 304)
    assert [(each.status_code, each.content) for each in read] == [(200, b"pixels")] * 3

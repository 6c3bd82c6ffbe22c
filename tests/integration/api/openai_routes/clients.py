"""OpenAI's official client as its users have it: default settings, our address and our key."""

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openai import AsyncOpenAI
from PIL import Image

from tests.integration.api.service import Tenant


def key_of(tenant: Tenant) -> str:
    return str(tenant.http.headers["authorization"].removeprefix("Bearer "))


@asynccontextmanager
async def official(tenant: Tenant, url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=key_of(tenant)) as client:
        yield client


def opened(b64_json: str | None) -> Image.Image:
    """Decode an image."""
    image = Image.open(io.BytesIO(base64.b64decode(b64_json or "", validate=True)))
    image.load()
    return image

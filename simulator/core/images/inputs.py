"""Input images by address or as text: fetched, decoded, and reduced for drawing."""

import asyncio
import io
from dataclasses import dataclass

import httpx

from simulator.core.images.sources import Source, SourceInvalid, decode, from_data_url

MAX_INPUT_BYTES = 20_000_000
FETCH_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Input:
    """An input image, and a small PNG of it."""

    source: Source
    png: bytes


async def opened(content: bytes) -> Input:
    """Decode an input. Raises SourceInvalid if it is not an image."""
    return await asyncio.to_thread(_open, content)


async def fetched(address: str) -> bytes:
    """Fetch an http(s) address or decode a data URL. Raises SourceInvalid."""
    if address.startswith("data:"):
        return from_data_url(address)
    if not address.startswith(("http://", "https://")):
        raise SourceInvalid("neither an http(s) address nor a data URL")
    content = bytearray()
    try:
        async with (
            asyncio.timeout(FETCH_TIMEOUT_SECONDS),
            httpx.AsyncClient(trust_env=False, timeout=FETCH_TIMEOUT_SECONDS) as client,
            client.stream("GET", address) as response,
        ):
            if response.status_code != 200:
                raise SourceInvalid(f"its address answered {response.status_code}")
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_INPUT_BYTES:
                    raise SourceInvalid(f"longer than {MAX_INPUT_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        raise SourceInvalid(f"could not be fetched: {type(error).__name__}") from error
    return bytes(content)


def _open(content: bytes) -> Input:
    source = decode(content)
    file = io.BytesIO()
    source.picture.save(file, "png", compress_level=1)
    return Input(source, file.getvalue())

"""A response that was paid for, and a disk without room for it."""

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator
from io import FileIO
from pathlib import Path

import pytest

from adapters.providers.http import full_disk, inline_images
from adapters.providers.http.client import provider_client
from adapters.providers.http.inline_images import InlineImageClient, ParsedResponse, map_error_response
from adapters.transport.http import HttpClient, Request
from domain.errors import StorageUnavailable, SubmitAmbiguous
from domain.provider import SyncResult
from tests.support.raw_server import always, answer, serving
from tests.unit.adapters.providers.inline_image_requests import IN_BASE64, PICTURES, asking, client_on

BODY = json.dumps({"images": IN_BASE64}).encode()


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with provider_client(max_response_bytes=None) as client:
        yield client


async def generate(client: InlineImageClient, origin: str, folder: Path) -> SyncResult:
    return await client.send(
        Request("POST", origin),
        asking("acme", n=3),
        folder,
        parse=lambda _, body: ParsedResponse(None, body["images"]),
        map_error=lambda response: map_error_response({}, (), response, ""),
    )


class Disk:
    """Refuses some writes to each file, then takes a few bytes at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, code: int, refusals: int, name: str = "") -> None:
        disk = self
        self.refused = 0

        class File(FileIO):
            def __init__(self, path: Path, mode: str) -> None:
                super().__init__(path, mode)
                self.refusals = refusals if path.name.startswith(name) else 0

            def write(self, content: memoryview) -> int:  # type: ignore[override]
                if self.refusals:
                    self.refusals -= 1
                    disk.refused += 1
                    raise OSError(code, os.strerror(code))
                return super().write(content[:7] if len(content) < 100 else content)

        monkeypatch.setattr(inline_images, "FileIO", File)
        monkeypatch.setattr(full_disk, "FileIO", File)
        monkeypatch.setattr(full_disk, "_RESPONSE_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("memory_bytes", [0, len(BODY) // 2, len(BODY)])
async def test_a_full_disk_is_waited_out(
    http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, memory_bytes: int
) -> None:
    disk = Disk(monkeypatch, code=code, refusals=2)
    client = client_on(http)
    client._room.free_bytes = memory_bytes
    async with serving(always(answer(200, BODY))) as server:
        found = await generate(client, server.origin, tmp_path)

    assert [path.read_bytes() for path in found.files] == PICTURES
    # All that is left of the response goes to memory at the first refusal, if there is room.
    assert disk.refused == (1 if memory_bytes == len(BODY) else 2) + 2 * len(PICTURES)
    assert client._room.free_bytes == memory_bytes
    assert server.connections == 1


async def test_responses_that_fill_the_disk_do_not_wait_for_one_another(
    http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, code=errno.ENOSPC, refusals=10**9, name="response")
    client = client_on(http)
    folders = [tmp_path / str(number) for number in range(9)]
    async with serving(always(answer(200, BODY))) as server:
        for folder in folders:
            folder.mkdir()
        found = await asyncio.gather(*(generate(client, server.origin, folder) for folder in folders))

    assert [[path.read_bytes() for path in each.files] for each in found] == [PICTURES] * len(folders)


@pytest.mark.parametrize("name", ["response", "image"])
async def test_a_disk_that_stays_full_leaves_it_ambiguous(
    http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    Disk(monkeypatch, code=errno.ENOSPC, refusals=10**9, name=name)
    monkeypatch.setattr(full_disk.write_whole, "__defaults__", (0.2,))
    client = client_on(http, total_seconds=1.0)
    client._room.free_bytes = 0
    async with serving(always(answer(200, BODY))) as server:
        with pytest.raises(SubmitAmbiguous):
            await generate(client, server.origin, tmp_path)

    assert server.connections == 1


async def test_a_disk_that_fails_is_not_waited_for(
    http: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, code=errno.EIO, refusals=2)
    async with serving(always(answer(200, BODY))) as server:
        with pytest.raises(SubmitAmbiguous):
            await generate(client_on(http), server.origin, tmp_path)

    assert disk.refused == 1


async def test_without_a_file_for_the_response_nothing_is_sent(http: HttpClient, tmp_path: Path) -> None:
    async with serving(always(answer(200, BODY))) as server:
        with pytest.raises(StorageUnavailable):
            await generate(client_on(http), server.origin, tmp_path / "is not there")

    assert server.connections == 0

"""Input files while other services are slow, unavailable or full."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from api.deps import Services
from api.routes.files import upload_file
from api.services.input_files import InputFileService
from domain.auth import Caller
from domain.errors import FileNotFound, InvalidInput, ResultUnusable, StorageUnavailable
from domain.input_files import ImageFacts, InputFile, PreparedImage
from tests.support.eventually import eventually
from tests.support.memory_input_files import MemoryInputFiles
from tests.support.memory_store import MemoryStore

MAX_BYTES = 100
TENANT = "ten_1"


class HeldDownloader:
    """Returns each address as the image, once released; counts how many wait at a time."""

    def __init__(self, folder: Path) -> None:
        self.open = asyncio.Event()
        self.waiting = self.max_waiting = 0
        self._folder = folder

    @asynccontextmanager
    async def download(self, url: str, hosts: Sequence[str], *, tenant_id: str = "") -> AsyncIterator[Path]:
        self.waiting += 1
        self.max_waiting = max(self.max_waiting, self.waiting)
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        path = self._folder / url.rpartition("/")[2]
        path.write_text(url)
        yield path


class LengthInspector:
    """Accepts every content that is not empty as an image."""

    @asynccontextmanager
    async def prepare_image(
        self, path: Path, tenant_id: str, *, is_upright_wanted: bool = False
    ) -> AsyncIterator[PreparedImage]:
        size_bytes = path.stat().st_size  # noqa: ASYNC240 - a small file, in a test
        if size_bytes == 0:
            raise ResultUnusable
        yield PreparedImage(path, ImageFacts(64, 64, "image/png", size_bytes, "0" * 64), "0" * 64)


class HeldFiles(MemoryInputFiles):
    """Finds nothing, once released; counts how many wait at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.waiting = self.max_waiting = 0

    async def use_files(self, tenant_id: str, file_ids: Sequence[str]) -> Sequence[InputFile]:
        self.waiting += 1
        self.max_waiting = max(self.max_waiting, self.waiting)
        await self.open.wait()
        self.waiting -= 1
        raise FileNotFound


class World:
    """The service under test and everything that it uses."""

    def __init__(
        self, folder: Path, files: MemoryInputFiles | None = None, *, fetch_seconds: float = 10.0
    ) -> None:
        self.files, self.store, self.downloader = (
            files or MemoryInputFiles(),
            MemoryStore(),
            HeldDownloader(folder),
        )
        self.inputs = InputFileService(
            self.files,
            self.store,
            LengthInspector(),
            self.downloader,
            hosts=("*",),
            max_bytes=MAX_BYTES,
            fetch_seconds=fetch_seconds,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def urls(count: int) -> list[str]:
    return [f"https://example.com/{index}" for index in range(count)]


async def test_images_are_fetched_four_at_a_time_and_stay_in_order(world: World) -> None:
    wanted = urls(16)
    gathering = asyncio.create_task(world.inputs.resolve(TENANT, wanted[:15], wanted[15]))
    await eventually(lambda: world.downloader.waiting == 4)
    world.downloader.open.set()
    files, mask = await gathering

    assert world.downloader.max_waiting == 4
    assert [world.store.objects[file.key].decode() for file in files] == wanted[:15]
    assert mask is not None
    assert world.store.objects[mask.key].decode() == wanted[15]
    assert {file.key for file in files} == {f"{TENANT}/files/{file.id}" for file in files}


async def test_a_tenants_requests_take_turns_and_files_it_has_wait_for_none(world: World) -> None:
    await world.files.add_file(TENANT, "file_0", "key", ImageFacts(64, 64, "image/png", 1, "0" * 64))
    gathering = [asyncio.create_task(world.inputs.resolve(TENANT, urls(1), None)) for _ in range(6)]
    await eventually(lambda: world.downloader.waiting == 4)
    await world.inputs.resolve(TENANT, ["file_0"], None)
    world.downloader.open.set()
    await asyncio.gather(*gathering)

    assert world.downloader.max_waiting == 4


async def test_an_upload_is_not_read_before_its_turn(world: World) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    request = Request({"type": "http", "headers": headers}, receive)
    parts = cast("Services", SimpleNamespace(input_file_service=world.inputs, admission=AsyncMock()))
    async with AsyncExitStack() as turns:
        for _ in range(4):
            await turns.enter_async_context(world.inputs.limit(TENANT))
        upload = asyncio.create_task(upload_file(request, Caller(TENANT, "key_1", frozenset()), parts))
        done, _ = await asyncio.wait([upload], timeout=0.05)
    with pytest.raises(ClientDisconnect):
        await upload

    assert not done


async def test_stored_files_are_asked_for_four_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path, files := HeldFiles())
    gathering = asyncio.create_task(world.inputs.resolve(TENANT, [f"file_{n}" for n in range(16)], None))
    await eventually(lambda: files.waiting >= 4)
    files.open.set()
    with pytest.raises(InvalidInput):  # there is none of them
        await gathering

    assert files.max_waiting == 4


async def test_all_images_together_have_one_time_limit(tmp_path: Path) -> None:
    world = World(tmp_path, fetch_seconds=0.05)

    with pytest.raises(InvalidInput) as caught:
        await world.inputs.resolve(TENANT, urls(9), None)

    assert [field for field, _ in caught.value.errors] == [f"inputs.{index}" for index in range(9)]
    assert (world.downloader.waiting, world.files.rows) == (0, {})


async def test_a_store_that_is_away_is_no_fault_of_the_client(world: World, tmp_path: Path) -> None:
    world.downloader.open.set()
    world.store.is_away = True
    path = tmp_path / "upload"
    path.write_bytes(b"image")

    with pytest.raises(StorageUnavailable):
        await world.inputs.resolve(TENANT, [*urls(2), "nothing"], None)
    with pytest.raises(StorageUnavailable):
        await world.inputs.store_upload(TENANT, path)
    # What was recorded goes when its time is over, and with it whatever the store may have got.
    assert world.files.rows


async def test_a_client_that_goes_away_leaves_nothing_waiting(world: World) -> None:
    gathering = asyncio.create_task(world.inputs.resolve(TENANT, urls(6), None))
    await eventually(lambda: world.downloader.waiting == 4)
    gathering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering

    assert (world.downloader.waiting, world.files.rows) == (0, {})


@pytest.mark.parametrize("content", [b"", b"x" * (MAX_BYTES + 1)])
async def test_an_unusable_upload_is_refused_and_not_stored(
    world: World, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        await world.inputs.store_upload(TENANT, path)

    assert [field for field, _ in caught.value.errors] == ["file"]
    assert (world.files.rows, world.store.objects) == ({}, {})


async def test_a_file_may_be_given_twice_and_as_its_own_mask(world: World, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"image")
    file = await world.inputs.store_upload(TENANT, path)
    files, mask = await world.inputs.resolve(TENANT, [file.id, file.id], file.id)

    assert (files, mask) == ((file, file), file)


async def test_without_images_no_request_is_made(world: World) -> None:
    world.store.is_away = True

    assert await world.inputs.resolve(TENANT, [], None) == ((), None)


async def test_another_tenants_file_looks_like_none(world: World, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"image")
    file = await world.inputs.store_upload("ten_2", path)
    world.files.rows["file_0"] = replace(file, id="file_0")
    with pytest.raises(InvalidInput) as foreign:
        await world.inputs.resolve(TENANT, ["file_0"], None)
    with pytest.raises(InvalidInput) as unknown:
        await world.inputs.resolve(TENANT, ["file_1"], None)

    assert foreign.value.errors == unknown.value.errors


async def test_a_full_disk_is_no_fault_of_an_input(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(StorageUnavailable):
        await world.inputs.resolve(TENANT, ["data:image/png;base64,QUJD"], None)

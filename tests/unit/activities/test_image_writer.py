"""What is stored of a provider's image is freed of metadata; what is said of its source stays true."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from temporalio.testing import ActivityEnvironment

from activities import assets
from activities.assets import ImageWriter
from domain.errors import ImageDecoderUnavailable, StorageUnavailable, TransientError
from domain.generation import Generation, GenerationRequest, Stage, Status, Undelivered
from domain.generation import Image as StoredImage
from domain.input_files import ImageFacts, PreparedImage
from tests.support.local_inspector import LocalInspector
from tests.support.memory_store import MemoryStore

REQUEST = GenerationRequest(
    model="m", provider="fal", endpoint="e", prompt="a fox", parameters={"n": 2}, n=2, price_credits=2
)
GENERATION = Generation(
    id="gen_1",
    tenant_id="ten_1",
    request=REQUEST,
    status=Status.PROCESSING,
    stage=Stage.STORING,
    error=None,
    cancel_requested=False,
    needs_attention=None,
    held_credits=2,
    charged_credits=0,
    refunded_credits=0,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    queued_at=None,
    processing_at=None,
    finished_at=None,
    images=(),
    undelivered=(),
)


def photograph() -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Make] = "a private note"
    Image.new("RGB", (96, 64), "red").save(file, "JPEG", exif=exif)
    return file.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FailingStore(MemoryStore):
    """Fails so many times, then works."""

    def __init__(self, failures: list[TransientError]) -> None:
        super().__init__()
        self.failures = iter(failures)

    def _reach(self) -> None:
        if (error := next(self.failures, None)) is not None:
            raise error


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "source"
    path.write_bytes(photograph())
    yield path
    assert path.read_bytes() == photograph()


async def stored_all(
    store: MemoryStore, paths: dict[int, Path]
) -> tuple[list[StoredImage], list[Undelivered]]:
    writer = ImageWriter(LocalInspector(max_pixels=1_000_000), store)
    found: tuple[list[StoredImage], list[Undelivered]] = await ActivityEnvironment().run(
        writer.store_all, GENERATION, "fal", paths
    )
    return found


@pytest.mark.parametrize("failures", [[], [StorageUnavailable()]])
async def test_both_digests_are_those_of_their_bytes(source: Path, failures: list[TransientError]) -> None:
    store = FailingStore(failures)
    [image], unusable = await stored_all(store, {0: source})
    [served] = store.objects.values()

    assert unusable == []
    assert b"a private note" in photograph()
    assert b"a private note" not in served
    assert (image.sha256, image.size_bytes) == (digest(served), len(served))
    assert image.source_sha256 == digest(photograph()) != image.sha256


@pytest.mark.parametrize("error", [StorageUnavailable, ImageDecoderUnavailable])
async def test_an_outage_of_ours_makes_no_image_unusable(source: Path, error: type[TransientError]) -> None:
    """Leave it to be stored later, from the bytes as they came."""
    store = FailingStore([error()] * 99)
    assert await stored_all(store, {0: source}) == ([], [])


class BusyInspector:
    """Has no decoder for any image."""

    @asynccontextmanager
    async def prepare_image(
        self, path: Path, tenant_id: str, *, is_upright_wanted: bool = False
    ) -> AsyncIterator[PreparedImage]:
        await asyncio.Event().wait()
        yield PreparedImage(path, ImageFacts(1, 1, "image/png", 1, "0" * 64), "0" * 64)


async def test_an_image_does_not_wait_long_where_nothing_else_has_it(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "_DECODE_SECONDS", 0.05)
    writer = ImageWriter(BusyInspector(), MemoryStore())
    found = await ActivityEnvironment().run(writer.store_all, GENERATION, "fal", {0: source, 1: source})

    assert found == ([], [])


async def test_an_image_that_is_none_keeps_no_other_back(source: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"<html>")
    images, unusable = await stored_all(MemoryStore(), {0: broken, 1: source})

    assert [image.index for image in images] == [1]
    assert unusable == [Undelivered(0, "result_unusable")]

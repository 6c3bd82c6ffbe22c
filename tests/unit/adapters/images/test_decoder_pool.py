"""The pool outlives whatever an image does to a child."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from adapters.images import decoder
from adapters.images.decoder_pool import DecoderPool
from adapters.images.inspector import PooledInspector
from adapters.images.messages import DecodeLimits, DecodeRequest
from domain.errors import ImageDecoderUnavailable, ResultUnusable, ServiceError, TooManyAtOnce
from domain.input_files import ImageFacts
from tests.support.eventually import eventually
from tests.support.time_limits import scaled
from tests.unit.adapters.images.child.carriers import texts
from tests.unit.adapters.images.pictures import saved, webp_bomb

LIMITS = DecodeLimits(max_pixels=40_000_000, memory_bytes=512_000_000, cpu_seconds=20)
PNG = saved("PNG")


class Site:
    """A pool with one child, and files to give it."""

    def __init__(self, pool: DecoderPool, folder: Path) -> None:
        self.pool, self.folder = pool, folder
        self.inspector = PooledInspector(pool, is_stripped=True)

    def file(self, content: bytes, name: str = "picture") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    async def facts(self, content: bytes = PNG, name: str = "picture", tenant_id: str = "a") -> ImageFacts:
        async with self.inspector.prepare_image(self.file(content, name), tenant_id) as image:
            return image.facts

    async def process_id(self) -> int:
        """Return the child's id once it is started and has nothing to do."""

        def check() -> int | None:
            [idle] = self.pool._idle or [None]
            if isinstance(idle, asyncio.Task) and idle.done():
                idle = idle.result()
            return idle.process_id if isinstance(idle, decoder.Decoder) else None

        return await eventually(check, 60)

    async def kill_idle(self) -> None:
        """Kill the child, and wait until the pool knows."""
        os.kill(await self.process_id(), signal.SIGKILL)
        [idle] = self.pool._idle
        child = idle.result() if isinstance(idle, asyncio.Task) else idle
        assert child is not None
        await eventually(lambda: not child.is_alive)


@asynccontextmanager
async def site_with(folder: Path, limits: DecodeLimits = LIMITS, **options: float) -> AsyncIterator[Site]:
    wanted = {"max_waiting": 9, "wait_seconds": scaled(60)} | options
    pool = DecoderPool(
        limits, children=1, max_waiting=int(wanted["max_waiting"]), wait_seconds=wanted["wait_seconds"]
    )
    async with pool:
        yield Site(pool, folder)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_with(tmp_path) as site:
        yield site


def starting(script: str) -> Callable[[DecodeLimits], Awaitable[decoder.Decoder]]:
    """Return what starts the script instead of a child."""

    async def start(limits: DecodeLimits) -> decoder.Decoder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            script,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1000,
        )
        return decoder.Decoder(process, limits)

    return start


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_child_is_kept_from_image_to_image_and_ends_with_the_pool(tmp_path: Path) -> None:
    async with site_with(tmp_path) as site:
        first = await site.process_id()
        for _ in range(3):
            assert (await site.facts()).width == 96
        with pytest.raises(ResultUnusable):
            await site.facts(b"text")
        assert await site.process_id() == first
    assert not is_running(first)


async def test_a_child_has_nothing_of_our_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    process_id = await site.process_id()
    if sys.platform == "linux":
        held, files = _seen_of(process_id)
        assert b"LC_ALL=C.UTF-8" in held
        assert b"HOME=" not in held
        assert all(name.startswith("pipe:") or name == os.devnull for name in files), files
    monkeypatch.setenv("MASTER_KEY", "secret")
    async with site_with(site.folder) as other:
        assert (await other.facts()).height == 64


def _seen_of(process_id: int) -> tuple[bytes, list[str]]:
    """Return a child's environment and the files that it has open."""
    folder = Path(f"/proc/{process_id}")
    return (folder / "environ").read_bytes(), [os.readlink(path) for path in (folder / "fd").iterdir()]


async def test_a_child_ends_when_its_parent_does(tmp_path: Path) -> None:
    """Kill the parent without a warning."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio\n"
        "from adapters.images.decoder import Decoder\n"
        f"from adapters.images.messages import DecodeLimits\nLIMITS = {LIMITS!r}\n"
        "async def main():\n"
        "    child = await Decoder.start(LIMITS)\n"
        "    print(child.process_id, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[4]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, script, env={"PYTHONPATH": str(root)}, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), scaled(60)))
    assert is_running(child)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not is_running(child), 60)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_a_child_that_was_killed_is_replaced(site: Site, number: signal.Signals) -> None:
    first = await site.process_id()
    os.kill(first, number)
    await eventually(lambda: not is_running(first))

    assert (await site.facts()).width == 96
    assert await site.process_id() != first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_to_the_whole_group_takes_no_image(site: Site, number: signal.Signals) -> None:
    first = await site.process_id()
    os.kill(first, number)

    assert (await site.facts()).width == 96
    assert await site.process_id() == first


async def test_an_image_whose_child_is_killed_gets_another_one(site: Site) -> None:
    first = await site.process_id()
    os.kill(first, signal.SIGSTOP)
    asked = asyncio.create_task(site.facts())
    await eventually(lambda: not site.pool._idle)
    await asyncio.sleep(0)
    os.kill(first, signal.SIGKILL)

    assert (await asked).width == 96
    assert await site.process_id() != first


DEATHS = {
    "killed": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)", ImageDecoderUnavailable),
    "killed before it reads": (
        "os.close(0); time.sleep(0.3); os.kill(os.getpid(), signal.SIGKILL)",
        ImageDecoderUnavailable,
    ),
    "crashed": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGSEGV)", ResultUnusable),
    "aborted": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGABRT)", ResultUnusable),
    "over its pages": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGBUS)", ResultUnusable),
}


@pytest.mark.parametrize(("script", "error"), DEATHS.values(), ids=DEATHS)
async def test_only_a_child_that_dies_by_itself_says_something_of_its_image(
    site: Site, monkeypatch: pytest.MonkeyPatch, script: str, error: type[ServiceError]
) -> None:
    await site.kill_idle()
    monkeypatch.setattr(decoder.Decoder, "start", starting(f"import os, signal, sys, time; {script}"))
    with pytest.raises(error, match="decoder"):
        await site.facts()


@pytest.mark.parametrize("missing", ["source", "target"])
async def test_an_outage_of_the_disk_is_no_fault_of_the_image(site: Site, missing: str) -> None:
    """Take a file away, for whatever else a system may refuse."""
    files = {name: str(site.file(PNG, name)) for name in ("source", "target")}
    content = saved("PNG", pnginfo=texts())
    site.file(content, "source")
    first = await site.process_id()
    Path(files[missing]).unlink()
    with pytest.raises(ImageDecoderUnavailable, match="No such file"):
        await site.pool.decode(DecodeRequest(**files), "a")
    assert (await site.facts()).width == 96
    assert await site.process_id() != first


async def test_without_a_temporary_file_an_image_is_tried_again_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.file(PNG)
    monkeypatch.setattr(tempfile, "tempdir", str(site.folder / "is not there"))
    with pytest.raises(ImageDecoderUnavailable):
        async with site.inspector.prepare_image(path, "a"):
            pass


async def test_an_image_that_needs_more_memory_is_refused_before_it_is_decoded(site: Site) -> None:
    first = await site.process_id()
    with pytest.raises(ResultUnusable, match="decoding 6300x6300 takes over 512000000 bytes"):
        await site.facts(webp_bomb(6300, 6300))
    assert await site.process_id() == first


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not hold RLIMIT_AS")
async def test_the_kernel_holds_the_memory_of_what_a_header_does_not_tell(tmp_path: Path) -> None:
    """Rewrite 16-bit gray, which takes five times what it takes to decode it."""
    async with site_with(tmp_path, replace(LIMITS, memory_bytes=75_000_000)) as site:
        path = site.file(saved("PNG", Image.new("I;16", (6000, 6000), 20_000)))
        async with site.inspector.prepare_image(path, "a") as image:
            assert image.facts.width == 6000
        with pytest.raises(ResultUnusable):
            async with site.inspector.prepare_image(path, "a", is_upright_wanted=True):
                pass
        assert (await site.facts()).width == 96


async def test_where_the_kernel_holds_no_memory_the_parent_does(tmp_path: Path) -> None:
    limits = replace(LIMITS, memory_bytes=64_000_000, limits_address_space=False)
    async with site_with(tmp_path, limits) as site:
        first = await site.process_id()
        exif = Image.Exif()
        exif[0x112] = 6
        picture = Image.effect_noise((4000, 3900), 80)
        path = site.file(saved("PNG", Image.merge("RGB", [picture] * 3), exif=exif, compress_level=1))
        with pytest.raises(ResultUnusable, match="takes over 64000000 bytes"):
            async with site.inspector.prepare_image(path, "a", is_upright_wanted=True):
                pass
        assert (await site.facts()).width == 96
        assert not is_running(first)


async def test_an_image_has_so_much_processor_time_and_no_more(tmp_path: Path) -> None:
    async with site_with(tmp_path, replace(LIMITS, cpu_seconds=0.1)) as site:
        first = await site.process_id()
        noise = Image.merge("RGBA", [Image.effect_noise((3000, 3000), 90)] * 4)
        exif = Image.Exif()
        exif[0x112] = 6
        content = saved("WEBP", noise, lossless=True, quality=0, method=0, exif=exif)
        path = site.file(content)
        with pytest.raises(ResultUnusable, match=r"takes over 0\.1 s"):
            async with site.inspector.prepare_image(path, "a", is_upright_wanted=True):
                pass
        assert (await site.facts()).width == 96
        assert not is_running(first)


async def test_a_machine_that_gives_a_child_no_time_is_no_fault_of_the_image(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DecodeLimits, "wall_seconds", 0.2)
    first = await site.process_id()
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(ImageDecoderUnavailable):
        await site.facts()
    assert not is_running(first)
    monkeypatch.undo()
    assert (await site.facts()).width == 96


async def test_a_child_is_replaced_after_so_many_images(tmp_path: Path) -> None:
    async with site_with(tmp_path, replace(LIMITS, max_images=2)) as site:
        seen = []
        for _ in range(4):
            seen.append(await site.process_id())
            await site.facts()
        assert seen[0] == seen[1] != seen[2] == seen[3]
        await eventually(lambda: not is_running(seen[0]))


async def test_without_children_an_image_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = sys.executable
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with site_with(tmp_path) as site:
        for _ in range(2):
            with pytest.raises(ImageDecoderUnavailable):
                await site.facts()
        monkeypatch.setattr(sys, "executable", executable)
        assert (await site.facts()).width == 96


@pytest.mark.parametrize("said", [b"", b"{}\n", b"null\n", b"x" * 100_000, json.dumps({"error": 1}).encode()])
async def test_a_child_is_not_believed(site: Site, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    script = f"import sys; sys.stdin.readline(); sys.stdout.buffer.write({said!r})"
    await site.kill_idle()
    monkeypatch.setattr(decoder.Decoder, "start", starting(script))
    with pytest.raises(ResultUnusable, match="dies"):
        await site.facts()


async def test_an_image_whose_request_went_away_is_finished_by_its_child(site: Site) -> None:
    first = await site.process_id()
    slow = saved("WEBP", Image.new("RGB", (4000, 4000)), lossless=True)
    gone = asyncio.create_task(site.facts(slow, "slow"))
    await eventually(lambda: not site.pool._idle)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone

    assert (await site.facts(tenant_id="b")).width == 96
    assert await site.process_id() == first


async def test_the_images_of_one_tenant_are_capped(tmp_path: Path) -> None:
    async with site_with(tmp_path, max_waiting=2) as site:
        process_id = await site.process_id()
        os.kill(process_id, signal.SIGSTOP)
        asked = [asyncio.create_task(site.facts(name=f"{number}")) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyAtOnce):
            await site.facts(name="more")
        os.kill(process_id, signal.SIGCONT)
        assert [facts.width for facts in await asyncio.gather(*asked)] == [96] * 3

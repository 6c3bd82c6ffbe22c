"""The pool outlives whatever an image does to a child."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from domain.errors import ResultUnusable, TooManyAtOnce
from tests.support.eventually import eventually
from tests.support.time_limits import scaled
from tests.unit.adapters.images.decoder_site import LIMITS, Site, is_running, site_with
from tests.unit.adapters.images.pictures import saved, webp_bomb


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


async def test_a_child_is_replaced_after_so_many_images(tmp_path: Path) -> None:
    async with site_with(tmp_path, replace(LIMITS, max_images=2)) as site:
        seen = []
        for _ in range(4):
            seen.append(await site.process_id())
            await site.facts()
        assert seen[0] == seen[1] != seen[2] == seen[3]
        await eventually(lambda: not is_running(seen[0]))


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

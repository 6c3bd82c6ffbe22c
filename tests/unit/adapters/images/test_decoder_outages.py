"""What is our outage and what is the image's fault, when a child dies or cannot do its work."""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from adapters.images import decoder
from adapters.images.messages import DecodeLimits, DecodeRequest
from domain.errors import ImageDecoderUnavailable, ResultUnusable, ServiceError
from tests.unit.adapters.images.child.carriers import texts
from tests.unit.adapters.images.decoder_site import PNG, Site, is_running, site_with, starting
from tests.unit.adapters.images.pictures import saved

DEATHS = {
    "killed": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)", ImageDecoderUnavailable),
    "crashed": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGSEGV)", ResultUnusable),
    "aborted": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGABRT)", ResultUnusable),
    "over its pages": ("sys.stdin.readline(); os.kill(os.getpid(), signal.SIGBUS)", ResultUnusable),
}


@pytest.mark.parametrize(("script", "error"), DEATHS.values(), ids=DEATHS)
async def test_only_a_child_that_dies_by_itself_says_something_of_its_image(
    site: Site, monkeypatch: pytest.MonkeyPatch, script: str, error: type[ServiceError]
) -> None:
    await site.kill_idle()
    monkeypatch.setattr(decoder.Decoder, "start", starting(f"import os, signal, sys; {script}"))
    with pytest.raises(error, match="decoder"):
        await site.facts()


async def test_a_child_that_was_killed_before_it_was_asked_says_nothing_of_the_image(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.kill_idle()
    monkeypatch.setattr(decoder.Decoder, "is_alive", True)  # as if nobody had noticed yet
    script, _ = DEATHS["crashed"]
    monkeypatch.setattr(decoder.Decoder, "start", starting(f"import os, signal, sys; {script}"))
    with pytest.raises(ImageDecoderUnavailable):
        await site.facts()


@pytest.mark.parametrize("missing", ["source", "target"])
async def test_an_outage_of_the_disk_is_no_fault_of_the_image(site: Site, missing: str) -> None:
    """Name a file that is not there, for whatever else a system may refuse."""
    content = saved("PNG", pnginfo=texts())
    files = {name: site.file(content, name) for name in ("source", "target")}
    files[missing] = site.folder / "gone"
    first = await site.process_id()
    with pytest.raises(ImageDecoderUnavailable, match="No such file"):
        await site.pool.decode(DecodeRequest(str(files["source"]), str(files["target"])), "a")
    assert (await site.facts()).width == 96
    assert await site.process_id() == first


async def test_without_a_temporary_file_an_image_is_tried_again_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.file(PNG)
    monkeypatch.setattr(tempfile, "tempdir", str(site.folder / "is not there"))
    with pytest.raises(ImageDecoderUnavailable):
        async with site.inspector.prepare_image(path, "a"):
            pass


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

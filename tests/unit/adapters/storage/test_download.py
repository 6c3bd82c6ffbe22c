"""Downloads from a real server: whole or not at all, only from allowed hosts, within a time limit."""

import asyncio
import gzip
import ssl
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adapters.storage.address_guard import guarded_pool
from adapters.storage.download import GuardedDownloader
from domain.errors import ResultExpired, ResultUnavailable, ResultUnusable, ServiceError
from tests.support.raw_server import (
    RawServer,
    Reply,
    always,
    answer,
    dripping,
    flooding,
    head,
    serving,
)
from tests.unit.adapters.storage.hostile_urls import HOSTILE_URLS

LARGEST_BYTES = 100_000
ALLOWED = ("fal.media", "*.fal.media")
BODY = bytes(range(256)) * 100


class Site:
    """One server in the list of hosts, and a downloader with that list."""

    def __init__(self, server: RawServer, downloader: GuardedDownloader) -> None:
        self.server = server
        self.downloader = downloader
        self.hosts = (*ALLOWED, server.origin)

    async def get(self, url: str | None = None) -> bytes:
        async with self.downloader.download(
            f"{self.server.origin}/a" if url is None else url, self.hosts
        ) as path:
            return path.read_bytes()


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def site_of(exits: AsyncExitStack, reply: Reply, *, total_seconds: float = 5.0) -> Site:
    server = await exits.enter_async_context(serving(reply))
    pool = await exits.enter_async_context(
        guarded_pool((*ALLOWED, server.origin), ssl.create_default_context())
    )
    return Site(server, GuardedDownloader(pool, max_bytes=LARGEST_BYTES, total_seconds=total_seconds))


@pytest.mark.parametrize("body", [b"", b"x", BODY, b"z" * LARGEST_BYTES], ids=len)
async def test_a_whole_body_arrives_as_it_was_sent(exits: AsyncExitStack, body: bytes) -> None:
    site = await site_of(exits, always(answer(200, body, "Content-Type: text/html")))

    assert await site.get() == body


async def test_a_body_without_a_length_arrives_too(exits: AsyncExitStack) -> None:
    chunked = head(200, "Transfer-Encoding: chunked") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    unmeasured = await site_of(exits, always(head(200) + BODY))

    assert await unmeasured.get() == BODY
    assert await (await site_of(exits, always(chunked))).get() == b"abcde"


@pytest.mark.parametrize("name", ["", "identity", "Identity", "none", "binary", "aws-chunked", "utf-8"])
async def test_an_encoding_that_changes_nothing_is_none(exits: AsyncExitStack, name: str) -> None:
    site = await site_of(exits, always(answer(200, BODY, f"Content-Encoding: {name}")))
    assert await site.get() == BODY


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP, aws-chunked"])
async def test_what_is_compressed_without_being_asked_is_read(exits: AsyncExitStack, name: str) -> None:
    encoding = f"Content-Encoding: {name}"
    site = await site_of(exits, always(answer(200, gzip.compress(BODY), encoding)))
    assert await site.get() == BODY


async def test_what_is_only_said_to_be_compressed_is_read(exits: AsyncExitStack) -> None:
    image = b"\x89PNG" + BODY
    for name, body in (("gzip", image), ("deflate", zlib.compress(image)), ("deflate", image)):
        site = await site_of(exits, always(answer(200, body, f"Content-Encoding: {name}")))
        assert await site.get() == image


async def test_the_request_asks_for_the_bytes_as_they_are_and_carries_no_key(exits: AsyncExitStack) -> None:
    site = await site_of(exits, always(answer(200, BODY)))
    await site.get(f"{site.server.origin}/files/a%20b.png?sig=x%2Fy")

    lines = site.server.heads[0].decode().lower().split("\r\n")
    assert lines[0] == "get /files/a%20b.png?sig=x%2fy http/1.1"
    assert f"host: 127.0.0.1:{site.server.port}" in lines
    assert "accept-encoding: identity" in lines
    assert not [line for line in lines if line.startswith(("authorization", "cookie", "referer"))]


UNAVAILABLE = {
    "shorter than announced": always(answer(200, BODY[:-1], length=len(BODY))),
    "half of it": always(answer(200, BODY[: len(BODY) // 2], length=len(BODY))),
    "chunks cut off": always(head(200, "Transfer-Encoding: chunked") + b"5\r\nabc"),
    "chunks without an end": always(head(200, "Transfer-Encoding: chunked") + b"3\r\nabc\r\n"),
    "half of a gzip": always(answer(200, gzip.compress(BODY)[:90], "Content-Encoding: gzip")),
    "a broken gzip": always(answer(200, gzip.compress(BODY)[:90] + BODY, "Content-Encoding: gzip")),
    "a broken chunk": always(head(200, "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n0\r\n\r\n"),
    "a negative length": always(head(200, "Content-Length: -1") + BODY),
    "two lengths": always(head(200, "Content-Length: 3", "Content-Length: 4") + b"abcd"),
    "a length of words": always(head(200, "Content-Length: many") + BODY),
    "no answer": always(b""),
    "not HTTP": always(b"220 mail.example ESMTP\r\n\r\n"),
    "endless lines": always(head(200, "X: " + "x" * 300_000)),
    "500": always(answer(500)),
    "502": always(answer(502, b"<html>")),
    "429": always(answer(429)),
    "204": always(answer(204)),
    "206": always(answer(206, BODY)),
    "304": always(answer(304)),
    "302 to nowhere": always(answer(302)),
}


@pytest.mark.parametrize("reply", UNAVAILABLE.values(), ids=UNAVAILABLE)
async def test_what_broke_may_be_tried_again(exits: AsyncExitStack, reply: Reply) -> None:
    site = await site_of(exits, reply)
    with pytest.raises(ResultUnavailable):
        await site.get()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_an_address_that_died_is_expired(exits: AsyncExitStack, status: int) -> None:
    site = await site_of(exits, always(answer(status, b"AccessDenied")))
    with pytest.raises(ResultExpired):
        await site.get()


UNUSABLE = {
    "one over the cap": always(answer(200, b"z" * (LARGEST_BYTES + 1))),
    "one over the cap, unmeasured": always(head(200) + b"z" * (LARGEST_BYTES + 1)),
    "endless": flooding(head(200), b"z" * 10_000),
    "endless chunks": flooding(
        head(200, "Transfer-Encoding: chunked"), b"2710\r\n" + b"z" * 10_000 + b"\r\n"
    ),
    "a bomb": always(answer(200, gzip.compress(bytes(300_000_000)), "Content-Encoding: gzip")),
    "gzip twice": always(answer(200, gzip.compress(gzip.compress(BODY)), "Content-Encoding: gzip, gzip")),
    "br": always(answer(200, BODY, "Content-Encoding: br")),
    "an unknown encoding": always(answer(200, BODY, "Content-Encoding: x-unknown")),
}


@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=UNUSABLE)
async def test_what_breaks_a_cap_is_unusable(exits: AsyncExitStack, reply: Reply) -> None:
    site = await site_of(exits, reply)
    with pytest.raises(ResultUnusable):
        await site.get()


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (head(200), b"z"),
        (answer(200, b"z", length=1000), b"z"),
        (head(200, "Transfer-Encoding: chunked"), b"1\r\nz\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    ],
    ids=["unmeasured", "measured", "chunked", "in its lines"],
)
async def test_a_drip_meets_the_total_limit(exits: AsyncExitStack, start: bytes, drop: bytes) -> None:
    site = await site_of(exits, dripping(start, drop), total_seconds=0.4)
    with pytest.raises(ResultUnavailable, match=r"over 0\.4 s"):
        await site.get()


def redirecting(*hops: str, status: int = 302) -> Reply:
    """Redirect each request to the next address; after the last one, return the body."""
    left = list(hops)

    async def reply(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, b"moved", f"Location: {left.pop(0)}") if left else answer(200, BODY))

    return reply


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_on_the_same_site_is_followed(exits: AsyncExitStack, status: int) -> None:
    site = await site_of(exits, redirecting("/b", "../c?d", "?e", status=status))

    assert await site.get() == BODY
    assert [lines.split()[1] for lines in site.server.heads] == [b"/a", b"/b", b"/c?d", b"/c?e"]


async def test_a_redirect_loop_ends(exits: AsyncExitStack) -> None:
    site = await site_of(exits, always(answer(302, b"", "Location: /a")))
    with pytest.raises(ResultUnusable):
        await site.get()

    assert len(site.server.heads) == 4


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=range(len(HOSTILE_URLS)))
async def test_a_hostile_address_is_refused_without_a_request(exits: AsyncExitStack, url: str) -> None:
    canary = await exits.enter_async_context(serving(always(answer(200, BODY))))
    site = await site_of(exits, always(answer(200, BODY)))
    with pytest.raises(ResultUnusable):
        await site.get(url.replace("PORT", str(canary.port)))

    assert (canary.connections, site.server.connections) == (0, 0)


# Not every address fits into a header, and a relative one leads back to the site itself.
REDIRECTABLE = [
    url
    for url in HOSTILE_URLS
    if url.strip() and url.isprintable() and not url.startswith(("/", "https:///"))
]


@pytest.mark.parametrize("url", [url for url in REDIRECTABLE if url.isascii() and len(url) < 4000])
async def test_a_redirect_to_a_hostile_address_is_not_followed(exits: AsyncExitStack, url: str) -> None:
    canary = await exits.enter_async_context(serving(always(answer(200, BODY))))
    location = url.replace("PORT", str(canary.port))
    site = await site_of(exits, always(answer(302, b"", f"Location: {location}")))
    with pytest.raises(ResultUnusable):
        await site.get()

    assert canary.connections == 0


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (always(answer(200, BODY)), None),
        (flooding(head(200), BODY), ResultUnusable),
        (always(b""), ResultUnavailable),
    ],
)
async def test_the_file_is_gone_afterwards(
    exits: AsyncExitStack,
    reply: Reply,
    error: type[ServiceError] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    site = await site_of(exits, reply)
    if error is not None:
        with pytest.raises(error):
            await site.get()
    else:
        async with site.downloader.download(f"{site.server.origin}/a", site.hosts) as path:
            assert files_in(tmp_path) == [path]

    assert files_in(tmp_path) == []


async def test_the_file_is_gone_when_its_reader_fails(
    exits: AsyncExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    site = await site_of(exits, always(answer(200, BODY)))
    with pytest.raises(KeyError):
        async with site.downloader.download(f"{site.server.origin}/a", site.hosts):
            raise KeyError

    assert files_in(tmp_path) == []

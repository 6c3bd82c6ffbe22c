"""The S3 adapter on servers that lie, break or flood."""

import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.storage.s3 import S3Store
from adapters.transport.s3 import S3Client
from domain.errors import StorageUnavailable
from domain.input_files import ImageFacts
from tests.support.raw_server import Reply, always, answer, serving

FACTS = ImageFacts(1, 1, "image/png", 10, "0" * 64)
STORED = answer(200, b"", 'ETag: "1"')
NOT_FOUND = answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "Content-Type: application/xml")


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(b"z" * FACTS.size_bytes)
    return path


def client_of(origin: str) -> S3Client:
    return S3Client(origin, "access", "secret", "us-east-1", bucket="darkroom")


def store_on(origin: str, threads: Executor) -> S3Store:
    return S3Store(client_of(origin), client_of(origin), threads)


def there(size_bytes: int) -> bytes:
    """Return the response to a HEAD: a length and no body."""
    modified = "Last-Modified: Thu, 15 Jan 2026 12:00:00 GMT"
    return answer(200, b"", modified, 'ETag: "1"', "Content-Type: image/png", length=size_bytes)


def by_method(**answers: bytes) -> Reply:
    async def reply(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[head.split()[0].decode()])

    return reply


async def test_a_put_is_one_request_and_then_a_look(threads: Executor, path: Path) -> None:
    async with serving(by_method(PUT=STORED, HEAD=there(FACTS.size_bytes))) as server:
        await store_on(server.origin, threads).put_object("ten_1/gen_1/0", path, FACTS)

    lines = [head.split(b"\r\n")[0] for head in server.heads]
    assert lines == [f"{method} /darkroom/ten_1/gen_1/0 HTTP/1.1".encode() for method in ("PUT", "HEAD")]
    assert b"content-type: image/png" in server.heads[0].lower()


@pytest.mark.parametrize(
    "answers",
    [
        {"PUT": STORED, "HEAD": there(FACTS.size_bytes - 1)},
        {"PUT": STORED, "HEAD": there(FACTS.size_bytes + 1)},
        {"PUT": STORED, "HEAD": there(0)},
        {"PUT": STORED, "HEAD": NOT_FOUND},
        {"PUT": STORED, "HEAD": answer(403)},
        {"PUT": STORED, "HEAD": b""},
        {"PUT": answer(503), "HEAD": there(FACTS.size_bytes)},
        {"PUT": answer(507, b"<html>disk full"), "HEAD": there(FACTS.size_bytes)},
        {"PUT": answer(403, b"not xml", "Content-Type: application/xml"), "HEAD": there(FACTS.size_bytes)},
        {"PUT": b"", "HEAD": there(FACTS.size_bytes)},
        {"PUT": b"not HTTP\r\n\r\n", "HEAD": there(FACTS.size_bytes)},
    ],
    ids=range(11),
)
async def test_a_put_that_was_not_seen_to_be_whole_failed(
    threads: Executor, path: Path, answers: dict[str, bytes]
) -> None:
    async with serving(by_method(**answers)) as server:
        with pytest.raises(StorageUnavailable):
            await store_on(server.origin, threads).put_object("ten_1/gen_1/0", path, FACTS)


async def test_a_fetch_that_ends_too_early_failed(threads: Executor) -> None:
    cut = answer(200, b"half", 'ETag: "1"', "Content-Type: image/png", length=FACTS.size_bytes)
    async with serving(by_method(HEAD=there(FACTS.size_bytes), GET=cut)) as server:
        with pytest.raises(StorageUnavailable):
            async with store_on(server.origin, threads).open_object("ten_1/files/file_1"):
                pass


async def test_without_a_folder_an_object_is_tried_again_later(
    threads: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(StorageUnavailable, match="folder"):
        async with store_on("http://127.0.0.1:9", threads).open_object("ten_1/files/file_1"):
            pass


class LeastRights:
    """A store whose key may get, put and delete objects, and may not look at the bucket.

    So a look at an object that is not there is denied too, as by every such store.
    """

    def __init__(self) -> None:
        self.keys: set[str] = set()

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        method, target = head.decode().split()[:2]
        key = target.removeprefix("/darkroom/")
        if target == "/darkroom" or "?" in target or (method == "HEAD" and key not in self.keys):
            writer.write(answer(403))
        elif method == "HEAD":
            writer.write(there(0))
        elif method == "PUT":
            self.keys.add(key)
            writer.write(STORED)
        else:
            assert method == "DELETE"
            self.keys.discard(key)
            writer.write(answer(204))


async def test_a_key_that_may_only_use_objects_is_enough(threads: Executor, path: Path) -> None:
    rights = LeastRights()
    async with serving(rights) as server:
        store = store_on(server.origin, threads)
        with pytest.raises(StorageUnavailable):
            await store.bucket_exists()  # a wrong key looks the same until the bucket was prepared
        await store.ensure_bucket()
        assert await store.bucket_exists()
        await store.put_object("ten_1/gen_1/0", path, replace(FACTS, size_bytes=0))
        deleted = await store.delete_objects(["ten_1/gen_1/0", "ten_1/gen_1/1"])

    assert (deleted, rights.keys) == (1, {"darkroom-bucket"})


@pytest.mark.parametrize("status", [403, 500, 503])
async def test_a_delete_that_the_server_refuses_failed(threads: Executor, status: int) -> None:
    async with serving(by_method(HEAD=there(1), DELETE=answer(status))) as server:
        with pytest.raises(StorageUnavailable):
            await store_on(server.origin, threads).delete_objects(["ten_1/gen_1/0"])


async def test_a_bucket_that_another_process_made_meanwhile_is_there(threads: Executor) -> None:
    code = b"<Error><Code>BucketAlreadyOwnedByYou</Code></Error>"
    made = answer(409, code, "Content-Type: application/xml")
    async with serving(by_method(HEAD=answer(404), PUT=made)) as server:
        await store_on(server.origin, threads).ensure_bucket()


async def test_an_address_is_signed_for_the_public_host_without_a_request(threads: Executor) -> None:
    async with serving(always(b"")) as server:
        public = client_of("https://images.example")
        store = S3Store(client_of(server.origin), public, threads)
        url = await store.signed_url("ten_1/gen_1/0", method="GET", lifetime=timedelta(minutes=5))

    assert url.startswith("https://images.example/darkroom/ten_1/gen_1/0?")
    assert "X-Amz-Expires=300" in url
    assert server.connections == 0

"""What the one S3 module promises to adapters: one error, which names what the server said or what broke."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from adapters.transport.errors import S3Error
from adapters.transport.s3 import S3Admin, S3Client
from tests.support.raw_server import always, answer, serving

XML = "Content-Type: application/xml"
DENIED = answer(403, b"<Error><Code>AccessDenied</Code></Error>", XML)


def client_of(endpoint: str) -> S3Client:
    return S3Client(endpoint, "access", "secret", "us-east-1", bucket="darkroom")


CALLS: dict[str, Callable[[S3Client], object]] = {
    "bucket_exists": lambda client: client.bucket_exists(),
    "make_bucket": lambda client: client.make_bucket(),
    "put": lambda client: client.put("key", BytesIO(b"image"), 5),
    "size_bytes": lambda client: client.size_bytes("key"),
    "download": lambda client: client.download("key", Path("/nowhere/at/all")),
    "delete": lambda client: client.delete("key"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_refusal_has_the_code_that_the_server_gave(call: Callable[[S3Client], object]) -> None:
    async with serving(always(DENIED)) as server:
        with pytest.raises(S3Error) as caught:
            await asyncio.to_thread(call, client_of(server.origin))

    assert caught.value.code == "AccessDenied"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_server_that_is_away_is_one_error(call: Callable[[S3Client], object]) -> None:
    async with serving(always(b"")) as server:
        pass
    with pytest.raises(S3Error) as caught:
        await asyncio.to_thread(call, client_of(server.origin))

    assert caught.value.code == "MaxRetryError"


async def test_the_administration_fails_in_the_same_way() -> None:
    async with serving(always(DENIED)) as server:
        admin = S3Admin(server.origin, "access", "secret", "us-east-1")
        with pytest.raises(S3Error, match="MinioAdminException"):
            await asyncio.to_thread(admin.put_account, "service", "s" * 32)


@pytest.mark.parametrize(
    "endpoint", ["", "127.0.0.1:9000", "ftp://127.0.0.1", "s3://bucket", "http://127.0.0.1:9000/path"]
)
def test_an_endpoint_in_another_form_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="S3 endpoint"):
        client_of(endpoint)

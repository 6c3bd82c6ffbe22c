"""An error's HTTP status, and what a client may do after it."""

import errno

import httpx
import pytest
from fastapi import FastAPI

from api.http import problems
from domain.errors import ImageDecoderUnavailable, ServiceError, StorageUnavailable, TooManyAtOnce


async def response_to(error: Exception) -> httpx.Response:
    """Return what a client gets from a route that raises the error."""
    application = FastAPI()
    problems.install(application)

    @application.get("/")
    async def fail() -> None:
        raise error

    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooManyAtOnce("16 wait"), 429),
        (ImageDecoderUnavailable("no child"), 503),
        (StorageUnavailable(), 503),
    ],
)
async def test_what_may_succeed_later_says_so_and_tells_nothing_of_us(
    error: ServiceError, status: int
) -> None:
    response = await response_to(error)
    assert (response.status_code, response.json()["code"]) == (status, error.code)
    assert response.headers["retry-after"] == "1"
    assert response.json()["detail"] == error.message


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE, errno.EIO])
async def test_what_the_system_refuses_may_succeed_later(code: int) -> None:
    response = await response_to(OSError(code, "of /a/path/of/ours"))

    assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
    assert response.headers["retry-after"] == "1"
    assert "ours" not in response.text


async def test_an_error_without_a_number_is_a_bug() -> None:
    assert (await response_to(TimeoutError())).status_code == 500

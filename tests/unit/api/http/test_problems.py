"""An error's HTTP status, and what a client may do after it."""

import httpx
import pytest
from fastapi import FastAPI

from api.http import problems
from domain.errors import ImageDecoderUnavailable, ServiceError, StorageUnavailable, TooManyAtOnce


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
    application = FastAPI()
    problems.install(application)

    @application.get("/")
    async def fail() -> None:
        raise error

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://test"
    ) as client:
        response = await client.get("/")
    assert (response.status_code, response.json()["code"]) == (status, error.code)
    assert response.headers["retry-after"] == "1"
    assert response.json()["detail"] == error.message

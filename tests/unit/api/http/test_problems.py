"""An error's HTTP status, and what a client may do after it."""

import errno
from typing import Annotated

import httpx
import pytest
from annotated_types import MaxLen
from fastapi import Depends, FastAPI, Request
from pydantic import AfterValidator
from starlette.exceptions import HTTPException

from api.http import problems
from domain.errors import (
    DatabaseUnavailable,
    IdempotencyKeyInUse,
    ImageDecoderUnavailable,
    InvalidInput,
    ModelUnavailable,
    OutcomeUnknown,
    RateLimited,
    ServiceError,
    StorageUnavailable,
    TooManyAtOnce,
)


def no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("no NUL")
    return value


Word = Annotated[str, AfterValidator(no_nul), MaxLen(1)]


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


async def test_a_body_that_cannot_be_read_is_named() -> None:
    response = await response_to(HTTPException(400, "of a library"))

    body = response.json()
    assert (response.status_code, body["code"]) == (400, "invalid_input")
    assert [each["field"] for each in body["errors"]] == ["body"]
    assert "JSON" in body["detail"]
    assert "library" not in response.text


async def test_a_field_is_named_once_with_its_limit_in_plain_words() -> None:
    application = FastAPI()
    problems.install(application)

    def small(index: int) -> int:
        return index

    @application.get("/{index}")
    async def read(index: int, _: Annotated[int, Depends(small)], q: Word = "") -> None:
        """Never called here."""

    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/x", params={"q": "ab"})
        refused = await client.get("/1", params={"q": "\x00"})

    errors = [(each["field"], each["message"]) for each in response.json()["errors"]]
    assert [field for field, _ in errors] == ["index", "q"]
    assert errors[1][1] == "at most 1 characters"
    assert refused.json()["errors"] == [{"field": "q", "message": "no NUL"}]


@pytest.mark.parametrize(
    ("error", "may_repeat"),
    [
        (StorageUnavailable(), "true"),
        (RateLimited(), "true"),
        (IdempotencyKeyInUse(), "true"),
        (InvalidInput("a field"), "false"),
        (ModelUnavailable(), "false"),
        (RuntimeError("a bug"), "true"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_every_refusal_says_whether_to_send_it_again(error: Exception, may_repeat: str) -> None:
    response = await response_to(error)

    assert response.headers["x-should-retry"] == may_repeat
    assert response.json()["retryable"] is (may_repeat == "true")
    assert (response.json()["charged"], response.json()["stage"]) == (False, "request")


@pytest.mark.parametrize("error", [DatabaseUnavailable(), RuntimeError("a bug")], ids=["away", "bug"])
async def test_once_a_job_is_accepted_no_error_asks_for_another(error: Exception) -> None:
    application = FastAPI()
    problems.install(application)

    @application.get("/{generation_id}")
    async def get_generation(generation_id: str, request: Request) -> None:
        problems.note_accepted(request, generation_id)
        raise error

    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/gen_1")

    body = response.json()
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["location"] == "/gen_1"
    assert (body["retryable"], body["charged"], body["generation_id"]) == (False, None, "gen_1")


@pytest.mark.parametrize(("job_id", "path"), [("gen_1", "/generations/gen_1"), ("bat_1", "/batches/bat_1")])
async def test_what_may_be_there_is_named_by_its_address(job_id: str, path: str) -> None:
    application = FastAPI()
    problems.install(application)

    @application.get("/generations/{generation_id}")
    async def get_generation(generation_id: str) -> None: ...

    @application.get("/batches/{batch_id}")
    async def get_batch(batch_id: str) -> None: ...

    @application.post("/")
    async def create() -> None:
        raise OutcomeUnknown(generation_id=job_id, is_repeatable=True)

    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/")

    assert (answer.status_code, answer.headers["Location"]) == (503, path)

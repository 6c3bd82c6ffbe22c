"""What all providers with jobs share: which submits are ambiguous, and that every poll may be repeated."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from adapters.transport.http import HttpClient
from domain.errors import ProviderRefused, ProviderThrottled, ProviderUnavailable, SubmitAmbiguous
from domain.ports import Provider
from domain.provider import JobStatus, ProviderJob, ProviderResult, Submission
from tests.unit.adapters.providers.bfl import requests as bfl
from tests.unit.adapters.providers.fal import requests as fal
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse
from tests.unit.adapters.providers.replicate import requests as replicate

Case = tuple[Callable[[HttpClient], Provider], Submission, ProviderJob]
CASES: dict[str, Case] = {
    "bfl": (bfl.bfl_on, bfl.SUBMISSION, bfl.JOB),
    "fal": (fal.fal_on, fal.SUBMISSION, fal.JOB),
    "replicate": (replicate.replicate_on, replicate.SUBMISSION, replicate.JOB),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


async def submitted(case: Case, response: MockResponse) -> Any:
    make, submission, _ = case
    return await make(MockHttp(response).http).submit(submission)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
async def test_a_request_that_was_never_sent_may_be_sent_again(
    case: Case, error: type[httpx.HTTPError]
) -> None:
    with pytest.raises(ProviderUnavailable):
        await submitted(case, error("no"))


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout,
        httpx.WriteTimeout,
        httpx.ReadError,
        httpx.WriteError,
        httpx.CloseError,
        httpx.RemoteProtocolError,
        httpx.LocalProtocolError,
        httpx.DecodingError,
    ],
)
async def test_a_request_that_broke_on_the_way_is_ambiguous(case: Case, error: type[httpx.HTTPError]) -> None:
    with pytest.raises(SubmitAmbiguous):
        await submitted(case, error("no"))


@pytest.mark.parametrize("status", [100, 204, 301, 302, 307, 408, 499, 500, 502, 503, 504, 520])
async def test_a_status_that_proves_nothing_is_ambiguous(case: Case, status: int) -> None:
    body = {"id": "job-1"} if status >= 300 else {"detail": "?"}
    with pytest.raises(SubmitAmbiguous):
        await submitted(case, httpx.Response(status, json=body))


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(401), ProviderUnavailable),
        (httpx.Response(403), ProviderUnavailable),
        (httpx.Response(302), ProviderUnavailable),
        (httpx.Response(500), ProviderUnavailable),
        (httpx.Response(503), ProviderUnavailable),
        (httpx.Response(429), ProviderThrottled),
        (httpx.ReadTimeout("no"), ProviderUnavailable),
        (httpx.ConnectError("no"), ProviderUnavailable),
    ],
)
async def test_a_poll_without_a_status_may_be_repeated(
    case: Case, response: MockResponse, error: type[Exception]
) -> None:
    make, submission, job = case
    with pytest.raises(error):
        await make(MockHttp(response).http).poll_job(submission.request, job)


async def test_an_error_in_a_200_is_that_error(case: Case) -> None:
    with pytest.raises(ProviderThrottled) as throttled:
        await submitted(case, httpx.Response(200, json={"error": {"code": 429}, "retry_after": 7}))
    assert throttled.value.retry_after_seconds == 7
    with pytest.raises(ProviderRefused):
        await submitted(case, httpx.Response(200, json={"error": "no credits", "status": 402}))


@pytest.mark.parametrize("body", [{"error": "sorry"}, {"error": {"code": 200}}, {"detail": ["?"]}])
async def test_an_error_in_a_200_without_a_status_is_ambiguous(case: Case, body: dict[str, Any]) -> None:
    with pytest.raises(SubmitAmbiguous):
        await submitted(case, httpx.Response(200, json=body))


@pytest.mark.parametrize("names", [("id", "request_id"), ("ID", "requestId")])
async def test_a_number_is_a_job_id_under_any_spelling_of_the_name(
    case: Case, names: tuple[str, ...]
) -> None:
    body = dict.fromkeys(names, 4711) | {"error": None}
    job = await submitted(case, httpx.Response(200, json=body))
    assert job.job_id == "4711"


RUNNING = {"bfl": "pending", "fal": "in-progress", "replicate": "Processing"}
SUCCEEDED = {
    "fal": {"status": "completed", "images": ["https://images.test/a.png"]},
    "bfl": {"status": "READY", "result": {"sample": "https://images.test/a.png"}},
    "replicate": {"Status": "Succeeded", "output": [{"url": "https://images.test/a.png"}]},
}


async def polled(name: str, response: httpx.Response) -> ProviderResult:
    make, submission, job = CASES[name]
    return await make(MockHttp(response).http).poll_job(submission.request, job)


@pytest.mark.parametrize(("name", "status"), RUNNING.items())
async def test_a_status_in_another_case_is_known(name: str, status: str) -> None:
    result = await polled(name, httpx.Response(200, json={"status": status}))
    assert (result.status, result.unknown_status) == (JobStatus.RUNNING, None)


@pytest.mark.parametrize(("name", "body"), SUCCEEDED.items())
async def test_a_success_in_another_case_is_one(name: str, body: dict[str, Any]) -> None:
    result = await polled(name, httpx.Response(200, json=body))
    assert [file.url for file in result.files] == ["https://images.test/a.png"]


async def test_a_british_cancel_is_one() -> None:
    result = await polled("replicate", httpx.Response(200, json={"status": "cancelled"}))
    assert result.status is JobStatus.FAILED

"""A submit to fal: what is sent, and whether each response is an acceptance."""

import json
from dataclasses import replace

import httpx
import pytest

from domain.errors import (
    ContentRejected,
    InvalidInput,
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)
from domain.provider import ProviderJob
from tests.unit.adapters.providers.fal.requests import (
    JOB,
    KEY,
    QUEUE,
    REQUEST,
    REQUESTS,
    SUBMISSION,
    fal_answering,
    fal_on,
)
from tests.unit.adapters.providers.mock_http import MockHttp, body_of

ACCEPTED = {
    "request_id": "job-1",
    "status_url": f"{REQUESTS}/status",
    "response_url": REQUESTS,
    "cancel_url": f"{REQUESTS}/cancel",
    "queue_position": 0,
}


async def test_a_submit_says_everything_that_fal_needs() -> None:
    wire = MockHttp(httpx.Response(200, json=ACCEPTED))
    job = await fal_on(wire.http).submit(SUBMISSION)

    (request,) = wire.requests
    assert job == JOB
    assert (request.method, str(request.url.copy_with(query=None))) == (
        "POST",
        f"{QUEUE}/fal-ai/flux/schnell",
    )
    assert dict(request.url.params) == {"fal_webhook": SUBMISSION.webhook_url}
    assert (request.headers["authorization"], request.headers["x-fal-no-retry"]) == (f"Key {KEY}", "1")
    assert json.loads(request.headers["x-fal-object-lifecycle-preference"]) == {
        "expiration_duration_seconds": 86_400
    }
    assert "x-fal-store-io" not in request.headers
    assert body_of(request) == {
        "prompt": "a fox",
        "num_images": 2,
        "image_size": {"width": 512, "height": 768},
        "output_format": "png",
        "seed": 7,
    }


async def test_a_request_without_a_seed_sends_none() -> None:
    wire = MockHttp(httpx.Response(200, json=ACCEPTED))
    parameters = {name: value for name, value in REQUEST.parameters.items() if name != "seed"}
    await fal_on(wire.http).submit(replace(SUBMISSION, request=replace(REQUEST, parameters=parameters)))

    assert "seed" not in body_of(wire.requests[0])


@pytest.mark.parametrize("status", [302, 500])
async def test_an_id_with_an_error_status_is_not_an_acceptance(status: int) -> None:
    with pytest.raises(SubmitAmbiguous):
        await fal_answering(httpx.Response(status, json=ACCEPTED)).submit(SUBMISSION)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17),
        (
            {"Retry-After": "Mon, 01 Jan 2024 00:00:20 GMT", "Date": "Mon, 01 Jan 2024 00:00:05 GMT"},
            15,
        ),
    ],
)
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, {}, ProviderThrottled),
        (503, {"detail": "x", "error_type": "runner_scheduling_failure"}, ProviderUnavailable),
    ],
)
async def test_a_full_queue_is_waited_for(
    status: int,
    body: dict[str, str],
    error: type[ProviderThrottled | ProviderUnavailable],
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    with pytest.raises(error) as caught:
        await fal_answering(httpx.Response(status, json=body, headers=headers)).submit(SUBMISSION)

    assert caught.value.retry_after_seconds == seconds


async def test_fals_error_type_may_be_in_a_header_only() -> None:
    headers = {"X-Fal-Error-Type": "runner_scheduling_failure"}
    with pytest.raises(ProviderUnavailable):
        await fal_answering(httpx.Response(503, headers=headers)).submit(SUBMISSION)


@pytest.mark.parametrize("body", [b"", b"<html>Service Unavailable</html>", b'{"error_type": null}'])
async def test_a_503_without_fals_error_type_is_ambiguous(body: bytes) -> None:
    with pytest.raises(SubmitAmbiguous):
        await fal_answering(httpx.Response(503, content=body)).submit(SUBMISSION)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"detail": "bad"}, ProviderRefused),
        (401, {"detail": "no key"}, ProviderRefused),
        (402, {"detail": "locked"}, ProviderRefused),
        (403, {"detail": "locked"}, ProviderRefused),
        (404, {"detail": "Application not found"}, ProviderRefused),
        (413, None, ProviderRefused),
        (422, {"detail": [{"type": "value_error", "msg": "n"}]}, InvalidInput),
        (422, {"detail": "a bare string"}, InvalidInput),
        (422, [1, 2], InvalidInput),
        (422, {"detail": [{"type": "content_policy_violation"}]}, ContentRejected),
        (400, {"detail": [{"type": "x"}, {"type": "content_policy_violation"}]}, ContentRejected),
        (422, {"detail": [{"type": "no_media_generated"}]}, ProviderFailed),
        (422, {"detail": [5, None, {"type": ["content_policy_violation"]}]}, InvalidInput),
    ],
)
async def test_a_refusal_says_whose_fault_it_is(status: int, body: object, error: type[ServiceError]) -> None:
    with pytest.raises(error) as caught:
        await fal_answering(httpx.Response(status, json=body)).submit(SUBMISSION)

    assert type(caught.value) is error


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"null",
        b"[]",
        b"{}",
        b'"job-1"',
        b"\xff\xfe",
        b'{"request_id": "job-1"',
        b'{"request_id": null}',
        b'{"request_id": ["job-1"]}',
        b'{"request_id": ""}',
        b'{"request_id": "two words"}',
        b'{"request_id": "line\\nbreak"}',
        b'{"request_id": "nul\\u0000"}',
        b'{"request_id": "\\ud800"}',
        b'{"request_id": "j\xc3\xb6b"}',
        b'{"request_id": "' + b"j" * 4001 + b'"}',
        b'{"request_id": ' + b"9" * 5000 + b"}",
        b'{"request_id": -1}',
        b'{"request_id": 0.5}',
        b"[" * 100_000,
        b'{"request_id":' * 100_000,
    ],
    ids=range(22),
)
async def test_an_acceptance_that_cannot_be_read_is_ambiguous(body: bytes) -> None:
    with pytest.raises(SubmitAmbiguous):
        await fal_answering(httpx.Response(200, content=body)).submit(SUBMISSION)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/requests/job-1",
        "http://queue.fal.test/requests/job-1",
        "https://queue.fal.test:8443/requests/job-1",
        "https://queue.fal.test.elsewhere.test/x",
        "https://queue.fal.test@elsewhere.test/x",
        "https://elsewhere.test\\@queue.fal.test/x",
        "https://user:password@queue.fal.test/x",
        "//queue.fal.test/x",
        "/requests/job-1",
        "file:///etc/passwd",
        "https://queue.fal.test:99999/x",
        "https://queue.fal.test/\ud800",
        "https://queue.fal.test/\0",
        "https://queue.fal.test/" + "x" * 4000,
        "https://xn--a.fal.test/",
        "https://[::1",
        "",
        None,
        5,
        ["https://queue.fal.test/x"],
    ],
)
async def test_an_address_that_is_not_the_queues_is_never_used(url: object) -> None:
    body = {**ACCEPTED, "status_url": url, "response_url": url, "cancel_url": url}
    job = await fal_answering(httpx.Response(200, content=_dumped(body))).submit(SUBMISSION)
    wire = MockHttp(
        {
            f"GET {REQUESTS}/status": httpx.Response(200, json={"status": "COMPLETED"}),
            f"GET {REQUESTS}": httpx.Response(200, json={"images": [{"url": "https://fal.media/a"}]}),
            f"PUT {REQUESTS}/cancel": httpx.Response(202),
        }
    )
    await fal_on(wire.http).poll_job(REQUEST, job)
    await fal_on(wire.http).cancel_job(REQUEST, job)

    assert job == ProviderJob("job-1", {})
    assert [request.url.host for request in wire.requests] == ["queue.fal.test"] * 3


async def test_the_message_of_a_refusal_is_storable() -> None:
    body = b'{"detail": "' + b"nul \\u0000 half \\ud800 long " * 1000 + b'"}'
    with pytest.raises(InvalidInput) as caught:
        await fal_answering(httpx.Response(422, content=body)).submit(SUBMISSION)

    words = str(caught.value)
    assert "\0" not in words
    assert words.encode().decode() == words
    assert 1000 < len(words) <= 2000


@pytest.mark.parametrize("depth", range(930, 1000, 2))
async def test_a_refusal_nested_to_the_limit_is_still_a_refusal(depth: int) -> None:
    body = b'{"detail": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(InvalidInput):
        await fal_answering(httpx.Response(422, content=body)).submit(SUBMISSION)


def _dumped(body: dict[str, object]) -> bytes:
    """Encode with `json.dumps`: it escapes lone surrogates, which httpx's `json=` refuses."""
    return json.dumps(body).encode()

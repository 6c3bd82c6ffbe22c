"""Replicate's webhooks: the genuine ones are read, and everything else raises SignatureInvalid."""

import json
from typing import Any

import pytest

from adapters.providers.replicate.webhooks import ReplicateWebhookReader
from domain.errors import SignatureInvalid
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult
from tests.unit.adapters.providers.http.webhook_signing import NOW, OTHER, SECRET, signed
from tests.unit.adapters.providers.recorded import recorded_body

JOB_ID = "gm3qorzdhgbfurvjtvhg6dckhu"


async def read(body: bytes, **options: str) -> ProviderEvent:
    reader = ReplicateWebhookReader([SECRET], now=lambda: NOW)
    return await reader.read_event(signed(body, **options), body, AttemptRef("gen_1"))


async def event_of(prediction: dict[str, Any]) -> ProviderEvent:
    return await read(json.dumps(prediction).encode())


async def test_an_end_is_reported_with_its_images() -> None:
    event = await event_of(recorded_body("replicate", "succeeded"))

    assert (event.event_id, event.job_id) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", JOB_ID)
    assert (event.result.status, len(event.result.files)) == (JobStatus.SUCCEEDED, 2)


@pytest.mark.parametrize(
    ("name", "code"),
    [("flagged", "content_rejected"), ("canceled", "provider_failed"), ("aborted", "provider_timed_out")],
)
async def test_an_end_without_images_is_reported_with_our_code(name: str, code: str) -> None:
    result = (await event_of(recorded_body("replicate", name))).result

    assert (result.status, result.code) == (JobStatus.FAILED, code)


@pytest.mark.parametrize("name", ["created", "processing", "processing with output"])
async def test_an_event_that_is_no_end_means_ask(name: str) -> None:
    assert (await event_of(recorded_body("replicate", name))).result == ProviderResult(JobStatus.CHECK)


async def test_a_message_is_identified_by_its_own_id() -> None:
    body = json.dumps(recorded_body("replicate", "succeeded")).encode()

    assert (await read(body, webhook_id="msg_2")).event_id == "msg_2"
    assert (await read(body)).event_id != "msg_2"


@pytest.mark.parametrize("options", [{"secret": OTHER}, {"webhook_timestamp": str(NOW - 301)}])
async def test_another_account_and_an_old_message_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        await read(json.dumps(recorded_body("replicate", "succeeded")).encode(), **options)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"id": 5.5}',
        b'{"id": ""}',
        b'{"id": "a b"}',
        b"[" * 100_000,
    ],
    ids=range(10),
)
async def test_a_signed_body_that_is_no_prediction_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        await read(body)


async def test_a_reader_without_a_secret_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="secret"):
        ReplicateWebhookReader([])

"""BFL's webhooks: they only trigger a poll, and are refused with a wrong signature."""

import json

import pytest

from adapters.providers.bfl.webhooks import BflWebhookReader, signature, webhook_secret
from domain.errors import SignatureInvalid
from domain.keyring import MasterKey
from domain.provider import AttemptRef, JobStatus, ProviderResult
from tests.unit.adapters.providers.bfl.requests import JOB_ID, KEYRING
from tests.unit.adapters.providers.recorded import recorded_body

ATTEMPT = AttemptRef("gen_1", 2)
BODY = json.dumps(recorded_body("bfl", "webhook")).encode()
READER = BflWebhookReader(KEYRING)


def signed(
    attempt: AttemptRef = ATTEMPT, body: bytes = BODY, key: MasterKey = KEYRING.current
) -> dict[str, str]:
    return {"x-bfl-signature": signature(webhook_secret(key, attempt), body).decode()}


def test_the_published_vector_has_the_same_signature() -> None:
    body = b'{"request_id":"r-1","gateway_request_id":"r-1","status":"OK","payload":{"images":[]}}'
    digest = b"6c7fcfd6a4cc053de2a85505b19c0b4d93ac0923706f5fe106fcf6ce1ab2fa7c"

    assert signature("test-secret", body) == b"sha256=" + digest


@pytest.mark.parametrize("headers", [{}, signed(), signed(key=KEYRING.others[0])])
async def test_every_webhook_is_only_a_reason_to_poll(headers: dict[str, str]) -> None:
    event = await READER.read_event(headers, BODY, ATTEMPT)

    assert (event.job_id, event.result) == (JOB_ID, ProviderResult(JobStatus.CHECK))


async def test_a_repeat_is_the_same_event_and_another_body_is_not() -> None:
    first, again = (
        await READER.read_event({}, BODY, ATTEMPT),
        await READER.read_event(signed(), BODY, ATTEMPT),
    )
    other = await READER.read_event({}, BODY + b" ", ATTEMPT)

    assert first == again
    assert first.event_id != other.event_id


@pytest.mark.parametrize(
    "headers",
    [
        signed(AttemptRef("gen_2", 2)),
        signed(AttemptRef("gen_1", 1)),
        signed(body=BODY + b" "),
        signed(key=MasterKey("guessed")),
        {"x-bfl-signature": signed()["x-bfl-signature"].removeprefix("sha256=")},
        {"x-bfl-signature": ""},
        {"x-bfl-signature": "\u00e9"},
        {"x-bfl-signature": "\ud800"},
    ],
)
async def test_a_signature_that_is_there_and_wrong_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        await READER.read_event(headers, BODY, ATTEMPT)


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"\xff", b"null", b"[]", b"{}", b'{"id": 5.5}', b'{"id": "a b"}', b"[" * 100_000],
    ids=range(9),
)
async def test_a_body_that_names_no_task_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        await READER.read_event({}, body, ATTEMPT)

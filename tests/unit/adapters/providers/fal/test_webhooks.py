"""fal's webhooks: the genuine ones are read, and everything else raises SignatureInvalid and nothing else."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from adapters.providers.fal.webhooks import FalKeys, FalWebhookReader
from domain.errors import SignatureInvalid
from domain.provider import AttemptRef, JobStatus, ProviderResult, ResultFile
from tests.unit.adapters.providers.fal.signing import (
    JWKS_URL,
    NOW,
    OK,
    USER_ID,
    Account,
    KeyPage,
    dumped,
    page_of,
)

ATTEMPT = AttemptRef("gen_1")
OURS = Account()
STRANGER = Account(bytes(range(1, 33)))
IMAGES = {"images": [{"url": "https://fal.media/a"}], "seed": 1}
BODY = dumped(OK)


def reader(now: float = NOW) -> FalWebhookReader:
    keys = FalKeys(KeyPage(page_of(OURS)).http, JWKS_URL)
    return FalWebhookReader(keys, user_id=USER_ID, now=lambda: now)


async def result_of(event: Mapping[str, Any]) -> ProviderResult:
    body = dumped({"request_id": "r-1", **event})
    return (await reader().read_event(OURS.headers(body), body, ATTEMPT)).result


async def test_the_published_vector_is_genuine() -> None:
    body = b'{"request_id":"r-1","gateway_request_id":"r-1","status":"OK","payload":{"images":[]}}'
    signature = (
        "5cd8ce04c92f4e805b97e543a873038fefb917a7d9838a75bbfc2e3aa0f6fea0"
        "ace2686034701d3db705d7680b1990347b9b40b1655b2d59a3360ebba12d4f00"
    )
    headers = {
        "x-fal-webhook-request-id": "r-1",
        "x-fal-webhook-user-id": "user-1",
        "x-fal-webhook-timestamp": "1700000000",
        "x-fal-webhook-signature": signature,
    }
    page = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}]}
    keys = FalKeys(KeyPage(page).http, JWKS_URL)
    event = await FalWebhookReader(keys, user_id="user-1", now=lambda: 1_700_000_000).read_event(
        headers, body, ATTEMPT
    )

    assert (event.job_id, event.event_id) == ("r-1", hashlib.sha256(body).hexdigest())
    assert (event.result.status, event.result.code) == (JobStatus.FAILED, "result_unusable")


@pytest.mark.parametrize("offset", [-300, -299, 0, 299, 300])
async def test_five_minutes_either_way_are_fresh(offset: int) -> None:
    event = await reader(NOW + offset).read_event(OURS.headers(BODY), BODY, ATTEMPT)

    assert event.job_id == "r-1"


@pytest.mark.parametrize("offset", [-360, -301, -300.5, 300.5, 301, 360])
async def test_anything_beyond_is_stale(offset: float) -> None:
    with pytest.raises(SignatureInvalid):
        await reader(NOW + offset).read_event(OURS.headers(BODY), BODY, ATTEMPT)


async def test_a_repeat_with_a_new_time_is_the_same_event() -> None:
    first = await reader().read_event(OURS.headers(BODY), BODY, ATTEMPT)
    again = await reader(NOW + 900).read_event(OURS.headers(BODY, timestamp=NOW + 900), BODY, ATTEMPT)

    assert first == again


GENUINE = OURS.headers(BODY)
SIGNATURE = GENUINE["x-fal-webhook-signature"]


def but(**changes: str) -> dict[str, str]:
    return {**GENUINE, **{f"x-fal-webhook-{name}": value for name, value in changes.items()}}


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in GENUINE.items() if key != f"x-fal-webhook-{name}"}


FORGED = {
    "nothing": {},
    **{f"no {name}": without(name) for name in ("request-id", "user-id", "timestamp", "signature")},
    **{f"empty {name}": {**GENUINE, f"x-fal-webhook-{name}": ""} for name in ("request-id", "user-id")},
    "empty signature": but(signature=""),
    "garbage": but(signature="garbage"),
    "scheme of others": but(signature="v1," + SIGNATURE),
    "two of them": but(signature=f"{SIGNATURE},{SIGNATURE}"),
    "two in a row": but(signature=f"{SIGNATURE}  {SIGNATURE}"),
    "a thousand": but(signature=" ".join([SIGNATURE] * 1000)),
    "short": but(signature=SIGNATURE[:-2]),
    "odd": but(signature=SIGNATURE[:-1]),
    "zeros": but(signature="00" * 64),
    "not ascii": but(signature="\u00e9" * 128),
    "surrogate": but(signature="\ud800"),
    "wide digits": but(signature="\uff10" * 128),
    "one bit": but(signature=f"{int(SIGNATURE, 16) ^ 1:0128x}"),
    "another key": STRANGER.headers(BODY),
    "another account": Account(user_id="user-2").headers(BODY),
    "account with a case": Account(user_id="USER-1").headers(BODY),
    "another id": but(**{"request-id": "r-2"}),
    "another time": but(timestamp=str(NOW + 1)),
    "lines moved": but(**{"request-id": "r-1\nuser-1", "user-id": USER_ID}),
    "surrogate id": but(**{"request-id": "\ud800"}),
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
async def test_forged_headers_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SignatureInvalid):
        await reader().read_event(headers, BODY, ATTEMPT)


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "0",
        f"{NOW}.0",
        f" {NOW}",
        f"{NOW} ",
        f"{NOW}\n",
        f"+{NOW}",
        "-1700000000",
        "1_700_000_000",
        f"{NOW}000",
        "9" * 30,
        "9" * 5000,
        "nan",
        "inf",
        "1.7e9",
        "0x6553f100",
        "\u0661\u0667\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660",
    ],
)
async def test_a_time_in_another_form_is_refused_though_signed(timestamp: str) -> None:
    with pytest.raises(SignatureInvalid):
        await reader().read_event(OURS.headers(BODY, timestamp=timestamp), BODY, ATTEMPT)


@pytest.mark.parametrize(
    "body",
    [b"", BODY + b" ", BODY[:-1], BODY.replace(b"OK", b"OJ"), json.dumps(OK, indent=1).encode(), b"\xff"],
)
async def test_a_body_that_was_not_signed_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        await reader().read_event(GENUINE, body, ATTEMPT)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"r-1"',
        b"{}",
        b'{"request_id": null}',
        b'{"request_id": ["r-1"]}',
        b'{"request_id": "r-2"}',
        b'{"request_id": "r-1", "request_id": "r-2"}',
        b'{"request_id": "r-1", "status": "OK"',
        b'{"request_id": "r-1", "cost": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=range(15),
)
async def test_a_signed_body_that_is_no_event_of_this_request_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        await reader().read_event(OURS.headers(body), body, ATTEMPT)


@pytest.mark.parametrize("request_id", ["", "two words", "x" * 10_000, "\u00e9", "nul\0", "a\nb"])
async def test_a_signed_id_that_cannot_be_stored_is_refused(request_id: str) -> None:
    body = dumped({**OK, "request_id": request_id})
    with pytest.raises(SignatureInvalid):
        await reader().read_event(OURS.headers(body, request_id=request_id), body, ATTEMPT)


async def test_ok_brings_the_images() -> None:
    result = await result_of({"status": "OK", "payload": IMAGES})

    assert result == ProviderResult(JobStatus.SUCCEEDED, files=(ResultFile("https://fal.media/a"),))


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"error": "Invalid status code: 422", "payload": {"detail": [{"type": "x"}]}}, "invalid_input"),
        (
            {
                "error": "Invalid status code: 422",
                "payload": {"detail": [{"type": "content_policy_violation"}]},
            },
            "content_rejected",
        ),
        ({"error": "Invalid status code: 500", "payload": {"detail": "x"}}, "provider_failed"),
        ({"error": "Invalid status code: 400", "payload": {"detail": "x"}}, "provider_refused"),
    ],
)
async def test_an_error_ends_the_job_with_our_code(event: dict[str, Any], code: str) -> None:
    result = await result_of({"status": "ERROR", **event})

    assert (result.status, result.code) == (JobStatus.FAILED, code)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"status": "OK"},
        {"status": "OK", "payload": None},
        {"status": "OK", "payload": [IMAGES]},
        {"status": "OK", "payload": None, "payload_error": "not serializable"},
        {"status": "OK", "payload": IMAGES, "payload_error": "too large"},
        {"status": "ERROR", "payload": None, "error": "Invalid status code: 422"},
        {"status": "ERROR", "payload": {"error_type": "y"}, "error": "Runner disconnected"},
        {"status": "ERROR", "payload": {}, "error": "status code: 42222"},
        {"status": "ERROR", "payload": {}},
        {"status": "ERROR", "payload": {}, "error": {"status code: 422": 1}},
        {"status": "ok", "payload": IMAGES},
        {"status": "IN_PROGRESS", "payload": IMAGES},
        {"status": ["OK"], "payload": IMAGES},
    ],
)
async def test_an_unclear_event_is_a_reason_to_poll(event: dict[str, Any]) -> None:
    assert await result_of(event) == ProviderResult(JobStatus.CHECK)


async def test_a_providers_message_is_storable() -> None:
    payload = {"detail": "nul \0 half \ud800"}
    result = await result_of({"status": "ERROR", "error": "Invalid status code: 500", "payload": payload})

    assert result.provider_message == "fal: 500  nul  half ?"


@pytest.mark.parametrize("field", ["error", "payload", "status"])
@pytest.mark.parametrize("depth", range(900, 1000, 3))
async def test_a_signed_event_nested_to_the_limit_is_read_or_refused(depth: int, field: str) -> None:
    nested = "[" * depth + "]" * depth
    event = {"status": '"ERROR"', "error": '"status code: 422"', "payload": "{}"}
    event[field] = f'{{"detail": {nested}}}'
    fields = ", ".join(f'"{name}": {value}' for name, value in event.items())
    body = f'{{"request_id": "r-1", {fields}}}'.encode()
    try:
        result = (await reader().read_event(OURS.headers(body), body, ATTEMPT)).result
    except SignatureInvalid:
        return

    assert result.status in (JobStatus.FAILED, JobStatus.CHECK)

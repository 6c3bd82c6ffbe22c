"""Hostile requests: each is refused with a problem, and nothing is stored."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.integration.api.service import Service, Tenant

GOOD: dict[str, Any] = {"model": "flux-schnell", "prompt": "a fortress"}
JSON = "application/json"
FIELDS: dict[str, dict[str, Any]] = {
    "NUL in the prompt": {"prompt": "a\0b"},
    "a lone surrogate in the prompt": {"prompt": "a\ud800b"},
    "NUL in a metadata key": {"metadata": {"a\0": "b"}},
    "a lone surrogate in a metadata value": {"metadata": {"a": "\udfff"}},
    "NUL in the model": {"model": "flux\0"},
    "an empty prompt": {"prompt": ""},
    "a blank prompt": {"prompt": " \n"},
    "a long prompt": {"prompt": "x" * 4001},
    "a very long prompt": {"prompt": "x" * 32_001},
    "a prompt that is a list": {"prompt": ["a"]},
    "n true": {"n": True},
    "n as a text": {"n": "1"},
    "n as a fraction": {"n": 1.5},
    "n zero": {"n": 0},
    "n negative": {"n": -1},
    "n too large": {"n": 5},
    "n of 2**70": {"n": 2**70},
    "n infinite": {"n": float("inf")},
    "n not a number": {"n": float("nan")},
    "seed of 2**32": {"seed": 2**32},
    "a size that is not sold": {"size": "1x1"},
    "a format that is not sold": {"output_format": "gif"},
    "metadata of numbers": {"metadata": {"a": 1}},
    "metadata without end": {"metadata": {str(number): "x" for number in range(17)}},
    "an unknown field": {"tenant_id": "ten_other"},
    "an unknown field with a hostile name": {"a\0\ud800": 1},
    "another model's field": {"aspect_ratio": "1:1"},
}
BODIES: dict[str, tuple[bytes, str, int]] = {
    "an exponent beyond every number": (b'{"model":"flux-schnell","prompt":"a","n":1e400}', JSON, 422),
    "a number of 5000 digits": (b'{"model":"flux-schnell","prompt":"a","n":' + b"9" * 5000 + b"}", JSON, 400),
    "nothing": (b"", JSON, 422),
    "half an object": (b'{"model":', JSON, 400),
    "a list": (b"[]", JSON, 422),
    "null": (b"null", JSON, 422),
    "no UTF-8": (b'{"prompt":"\xff\xfe"}', JSON, 400),
    "deep lists": (b'{"prompt":' + b"[" * 50_000 + b"]" * 50_000 + b"}", JSON, 400),
    "deep objects": (b'{"a":' * 20_000, JSON, 400),
    "deeper lists": (b'{"prompt":' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON, 422),
    "deeper objects": (b'{"a":' * 100_000, JSON, 422),
    "millions of empty lists": (b'{"prompt":[' + b"[]," * 300_000 + b"[]]}", JSON, 422),
    "as many in UTF-16": (('{"prompt":[' + "[]," * 100_000 + "[]]}").encode("utf-16"), JSON, 422),
    "plain text": (json.dumps(GOOD).encode(), "text/plain", 415),
    "a form": (b"model=flux-schnell&prompt=a", "application/x-www-form-urlencoded", 415),
}
TOO_LARGE_BYTES = 60_000_000
MANY: dict[str, Any] = {str(number): [] for number in range(51)}
WIDE: dict[str, tuple[dict[str, Any], str, str]] = {
    "the body": (MANY, "body", "at most 50 fields"),
    "options": ({"options": MANY}, "options", "at most 50 fields"),
    "metadata": ({"metadata": MANY}, "metadata", "at most 50 fields"),
    "inputs": ({"inputs": list(MANY.values())}, "inputs", "at most 50 items"),
}


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), answer.text
    assert body["type"] == f"urn:darkroom:error:{code}"


@pytest.mark.parametrize("name", FIELDS)
async def test_a_bad_field_is_refused(service: Service, tenant: Tenant, name: str) -> None:
    content = json.dumps({**GOOD, **FIELDS[name]}).encode()

    refused = await tenant.http.post("/v1/generations", content=content, headers={"Content-Type": JSON})

    assert_problem(refused, 422, "invalid_input")
    assert refused.json()["errors"]
    assert await service.generations_of(tenant) == 0
    assert await tenant.credits() == (100, 0, 0)


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_request_is_refused(service: Service, tenant: Tenant, name: str) -> None:
    content, content_type, status = BODIES[name]

    refused = await tenant.http.post(
        "/v1/generations", content=content, headers={"Content-Type": content_type}
    )

    assert_problem(refused, status, "unsupported_media_type" if status == 415 else "invalid_input")
    assert await service.generations_of(tenant) == 0


@pytest.mark.parametrize("where", WIDE)
async def test_a_wide_object_is_refused_once_and_not_field_by_field(
    service: Service, tenant: Tenant, where: str
) -> None:
    fields, name, limit = WIDE[where]

    refused = await tenant.http.post("/v1/generations", json={**GOOD, **fields})

    assert_problem(refused, 422, "invalid_input")
    assert refused.json()["errors"] == [{"field": name, "message": limit}]
    assert await service.generations_of(tenant) == 0


@pytest.mark.parametrize("value", [3.0, 10.0])
async def test_a_number_with_a_point_is_not_whole(service: Service, tenant: Tenant, value: float) -> None:
    body = {**GOOD, "model": "flux-dev", "options": {"num_inference_steps": value}}

    refused = await tenant.http.post("/v1/generations", json=body)

    assert_problem(refused, 422, "invalid_input")
    assert [error["field"] for error in refused.json()["errors"]] == ["options.num_inference_steps"]
    assert await service.generations_of(tenant) == 0


async def test_a_webhook_is_small(service: Service) -> None:
    provider = await service.client(service.url)

    refused = await provider.post(service.webhook_url("gen_unknown"), content=b" " * 2_000_001)

    assert_problem(refused, 413, "body_too_large")


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/webhooks/fal/{id}/{token}"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
async def test_a_body_over_the_cap_is_refused(
    service: Service, tenant: Tenant, path: str, *, announced: bool
) -> None:
    if path.startswith("/v1/webhooks"):
        path = service.webhook_url("gen_unknown")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(TOO_LARGE_BYTES // 1_000_000):
            yield b" " * 1_000_000

    content = b" " * TOO_LARGE_BYTES if announced else chunks()
    refused = await tenant.http.post(path, content=content, headers={"Content-Type": JSON})

    assert_problem(refused, 413, "body_too_large")
    assert await service.generations_of(tenant) == 0


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/files"])
async def test_the_body_of_an_unauthenticated_request_is_not_read(service: Service, path: str) -> None:
    stranger = await service.client(service.url, "dk_nobody")

    refused = await stranger.post(path, content=b"[" * 100_000, headers={"Content-Type": JSON})

    assert_problem(refused, 401, "unauthenticated")


async def test_an_unknown_model_is_not_found(service: Service, tenant: Tenant) -> None:
    refused = await tenant.post("a fortress", model="no-such-model")
    assert_problem(refused, 404, "model_not_found")
    assert await service.generations_of(tenant) == 0


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/generations/%00", 404, "generation_not_found"),
        ("GET", "/v1/generations/gen_%ED%A0%80", 404, "generation_not_found"),
        ("GET", f"/v1/generations/{'x' * 5000}", 404, "generation_not_found"),
        ("POST", "/v1/generations/%00/cancel", 404, "generation_not_found"),
        ("GET", "/v1/generations/%00/images/0", 404, "generation_not_found"),
        ("GET", "/v1/generations/gen_x/images/one", 422, "invalid_input"),
        ("GET", "/v1/models/%00", 404, "model_not_found"),
        ("GET", "/v1/generations?limit=0", 422, "invalid_input"),
        ("GET", "/v1/generations?limit=101", 422, "invalid_input"),
        ("GET", "/v1/generations?status=lost", 422, "invalid_input"),
        ("GET", "/v1/generations?cursor=%00", 422, "invalid_input"),
        ("GET", "/v1/generations?cursor=bm90IGEgY3Vyc29y", 422, "invalid_input"),
        ("GET", "/v1/credits/entries?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", 422, "invalid_input"),
        ("GET", "/v1/credits/entries?cursor=OTIyMzM3MjAzNjg1NDc3NTgwOA", 422, "invalid_input"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("DELETE", "/v1/generations", 405, "method_not_allowed"),
    ],
)
async def test_a_bad_address_is_refused(
    tenant: Tenant, method: str, path: str, status: int, code: str
) -> None:
    assert_problem(await tenant.http.request(method, path), status, code)


@pytest.mark.parametrize("path", ["/v1/generations/", "/v1/models/", "/healthz/"])
async def test_a_slash_at_the_end_redirects_nowhere(tenant: Tenant, path: str) -> None:
    answer = await tenant.http.get(path, headers={"Host": "attacker.example"})
    assert answer.status_code == 404
    assert "attacker" not in str(answer.headers) + answer.text


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "2000-01-01T00:00:00+00:00"]
)
async def test_a_cursor_at_the_end_of_time_is_no_error_of_ours(tenant: Tenant, moment: str) -> None:
    cursor = base64.urlsafe_b64encode(f"{moment} gen_1".encode()).decode().rstrip("=")
    answer = await tenant.http.get("/v1/generations", params={"cursor": cursor})
    assert answer.status_code == (200 if moment.startswith("2000") else 422), answer.text

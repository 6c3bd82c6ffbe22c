"""Access: keys, scopes, and the separation of tenants."""

import pytest

from adapters.database.tenants import PostgresTenants
from domain.auth import Scope
from tests.integration.api.service import Service, Tenant, unique

PROBLEM = "application/problem+json"
CALLS = [
    ("POST", "/v1/generations", Scope.WRITE_GENERATIONS),
    ("GET", "/v1/generations", Scope.READ_GENERATIONS),
    ("GET", "/v1/generations/gen_unknown", Scope.READ_GENERATIONS),
    ("POST", "/v1/generations/gen_unknown/cancel", Scope.WRITE_GENERATIONS),
    ("GET", "/v1/generations/gen_unknown/images/0", Scope.READ_GENERATIONS),
    ("GET", "/v1/models", Scope.READ_GENERATIONS),
    ("GET", "/v1/models/flux-schnell", Scope.READ_GENERATIONS),
    ("GET", "/v1/credits", Scope.READ_CREDITS),
    ("GET", "/v1/credits/entries", Scope.READ_CREDITS),
]
BODY = {"model": "flux-schnell", "prompt": "a door"}


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
async def test_every_call_wants_its_scope(service: Service, method: str, path: str, scope: Scope) -> None:
    others = await service.tenant(scopes=[each for each in Scope if each is not scope])
    body = BODY if path == "/v1/generations" and method == "POST" else None

    refused = await others.http.request(method, path, json=body)

    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert refused.headers["content-type"] == PROBLEM
    assert await service.generations_of(others) == 0


@pytest.mark.parametrize(("method", "path", "_scope"), CALLS)
async def test_every_call_wants_a_key(
    service: Service, tenant: Tenant, method: str, path: str, _scope: Scope
) -> None:
    given = tenant.http.headers["authorization"]
    wrong = [None, "", "Bearer", f"Basic {given}", given.removeprefix("Bearer ")]
    wrong += [f"{given}x", given[:-1], "Bearer dk_0000000000000000_secret", "Bearer dk__"]
    body = BODY if path == "/v1/generations" and method == "POST" else None
    stranger = await service.client(service.url)

    for value in wrong:
        headers = {} if value is None else {"Authorization": value}
        refused = await stranger.request(method, path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated"), value
        assert refused.headers["content-type"] == PROBLEM
        assert refused.headers["www-authenticate"] == "Bearer"
    twice = [("Authorization", given), ("Authorization", given)]
    assert (await stranger.request(method, path, json=body, headers=twice)).status_code == 401


async def test_a_revoked_key_is_refused_from_the_next_request_on(service: Service, tenant: Tenant) -> None:
    assert (await tenant.http.get("/v1/credits")).status_code == 200

    assert await PostgresTenants(service.database).revoke_key(tenant.key_id)

    for path in ("/v1/credits", "/v1/generations"):
        refused = await tenant.http.get(path)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert (await tenant.post("a door")).status_code == 401
    assert await service.generations_of(tenant) == 0


async def test_another_tenants_generation_looks_like_none(service: Service, tenant: Tenant) -> None:
    open_id = (await tenant.posted(unique("a vault [sim:hang]")))["id"]
    ended_id = (await tenant.ended((await tenant.posted(unique("a safe")))["id"]))["id"]
    await tenant.generating(open_id)
    other = await service.tenant()

    for method, path in (("GET", ""), ("GET", "?live=true"), ("POST", "/cancel"), ("GET", "/images/0")):
        unknown = await other.http.request(method, f"/v1/generations/gen_unknown{path}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "generation_not_found")
        for generation_id in (open_id, ended_id):
            answer = await other.http.request(method, f"/v1/generations/{generation_id}{path}")
            assert answer.status_code == unknown.status_code
            assert answer.content == unknown.content
            assert comparable(dict(answer.headers)) == comparable(dict(unknown.headers))

    assert (await other.get("/v1/generations"))["data"] == []
    assert (await tenant.get(f"/v1/generations/{open_id}"))["stage"] == "generating"
    await tenant.http.post(f"/v1/generations/{open_id}/cancel")
    await tenant.ended(open_id)


def comparable(headers: dict[str, str]) -> dict[str, str]:
    """Leave out what differs between any two responses."""
    return {
        name: value for name, value in headers.items() if name not in ("date", "ratelimit", "x-request-id")
    }


async def test_a_key_that_only_writes_reads_nothing_through_a_replay_or_a_cancel(service: Service) -> None:
    reader = await service.tenant()
    key = await PostgresTenants(service.database).create_key(reader.id, [Scope.WRITE_GENERATIONS])
    writer = await service.client(service.url, key.api_key)
    secret = unique("a secret lake")
    body = {"model": "flux-schnell", "prompt": secret, "metadata": {"for": secret}}
    headers = {"Idempotency-Key": unique("key")}
    job = (await reader.http.post("/v1/generations", json=body, headers=headers)).json()
    assert (await reader.ended(job["id"]))["status"] == "completed"

    replayed = await writer.post("/v1/generations", json=body, headers=headers)
    assert (replayed.status_code, replayed.json()["id"]) == (202, job["id"])
    slow = {"model": "flux-schnell", "prompt": f"{secret} [sim:hang]"}
    other = (await reader.http.post("/v1/generations", json=slow)).json()
    canceled = await writer.post(f"/v1/generations/{other['id']}/cancel")
    assert canceled.status_code == 202
    for answer in (replayed, canceled):
        view = answer.json()
        assert (view["prompt"], view["inputs"], view["images"], view["metadata"]) == (None, [], [], {})
        assert "lake" not in answer.text
        assert "signature" not in answer.text


@pytest.mark.parametrize("path", ["/v1/generations", "/v1/models", "/v1/nothing", "/healthz"])
async def test_no_response_may_be_framed_sniffed_or_kept(tenant: Tenant, path: str) -> None:
    headers = (await tenant.http.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers.get("Cache-Control") == ("no-store" if path.startswith("/v1/") else None)

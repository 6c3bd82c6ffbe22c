"""Keys that keys make, change and revoke, over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from tests.integration.api.service import Service, Tenant, unique


async def made(tenant: Tenant, **fields: Any) -> dict[str, Any]:
    """Make a key that is accepted."""
    answer = await tenant.http.post("/v1/keys", json={"scopes": ["read"], **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def client_of(service: Service, key: dict[str, Any]) -> httpx.AsyncClient:
    return await service.client(service.url, key["api_key"])


def refusal(answer: httpx.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [each["field"] for each in body["errors"]]


async def test_a_key_is_made_used_changed_and_revoked(service: Service, tenant: Tenant) -> None:
    key = await made(tenant, name="the site", scopes=["write"], monthly_budget_credits=50)
    secret = key.pop("api_key")
    assert key["scopes"] == ["generations:read", "generations:write", "credits:read"]
    assert (key["created_by"], key["last_used_at"], key["expires_at"]) == (tenant.key_id, None, None)
    assert await tenant.get(f"/v1/keys/{key['id']}") == key
    http = await service.client(service.url, secret)

    job = await http.post("/v1/generations", json={"model": "flux-schnell", "prompt": unique("a key")})
    assert job.status_code == 202
    await tenant.ended(job.json()["id"])
    used = await tenant.get(f"/v1/keys/{key['id']}")
    assert used["last_used_at"] is not None
    spending = used["spending"]
    assert (spending["charged_credits"], spending["held_credits"], spending["all_held_credits"]) == (1, 0, 0)
    assert spending["month"] == datetime.now(UTC).strftime("%Y-%m-01")

    path, change = f"/v1/keys/{key['id']}", {"name": "the old site", "max_held_credits": 3}
    changed = await tenant.http.patch(path, json=change)
    assert changed.json() == {**used, **change}
    session = (await http.get("/v1/session")).json()["key"]
    assert (session["monthly_budget_credits"], session["max_held_credits"]) == (50, 3)

    for _ in range(2):
        assert (await tenant.http.delete(path)).status_code == 204
    assert (await http.get("/v1/session")).status_code == 401
    assert (await tenant.get(path))["revoked_at"] is not None
    assert refusal(await tenant.http.patch(path, json=change)) == (409, "api_key_ended", [])
    assert secret.rpartition("_")[2] not in str(await tenant.get("/v1/keys"))


async def test_a_key_is_within_its_makers_over_the_api(service: Service, tenant: Tenant) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    caps = {"monthly_budget_credits": 9, "max_held_credits": 8, "limits": {"read_burst": 100}}
    narrow = await made(tenant, scopes=["read", "keys:write"], expires_at=soon, **caps)
    http = await client_of(service, narrow)

    beyond: list[tuple[dict[str, Any], list[str]]] = [
        ({"scopes": ["admin"]}, ["scopes"]),
        ({"scopes": ["write"]}, ["scopes"]),
        ({"expires_at": None, "max_held_credits": None}, ["expires_at", "max_held_credits"]),
        (
            {"monthly_budget_credits": 10, "limits": {"read_burst": None}},
            ["limits.read_burst", "monthly_budget_credits"],
        ),
    ]
    for fields, names in beyond:
        answer = await http.post("/v1/keys", json={"scopes": ["read"], **fields})
        assert refusal(answer) == (403, "key_exceeds_own", names)
    child = (await http.post("/v1/keys", json={"scopes": ["read"]})).json()
    assert {name: child[name] for name in ("monthly_budget_credits", "max_held_credits")} == {
        "monthly_budget_credits": 9,
        "max_held_credits": 8,
    }
    assert (child["limits"], child["expires_at"]) == ({"read_burst": 100.0}, narrow["expires_at"])
    # The one that may do more is not touched, but may be revoked by whoever finds it leaked.
    higher = f"/v1/keys/{tenant.key_id}"
    assert refusal(await http.patch(higher, json={"name": "mine"}))[:2] == (403, "key_exceeds_own")
    assert (await tenant.get(higher))["name"] == ""
    assert (await http.delete(higher)).status_code == 204
    assert (await tenant.http.get("/v1/session")).status_code == 401


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["grants:write"]}, "scopes"),
        ({"scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"scopes": ["read"], "expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"scopes": ["read"], "expires_at": "tomorrow"}, "expires_at"),
        ({"scopes": ["read"], "expires_at": 4_102_444_800}, "expires_at"),
        ({"scopes": ["read"], "expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
        ({"scopes": ["read"], "monthly_budget_credits": -1}, "monthly_budget_credits"),
        ({"scopes": ["read"], "max_held_credits": 1.5}, "max_held_credits"),
        ({"scopes": ["read"], "limits": {"read_burst": 0}}, "limits.read_burst"),
        ({"scopes": ["read"], "limits": {"max_files": 1}}, "limits.max_files"),
        ({"scopes": ["read"], "name": "x" * 201}, "name"),
        ({"scopes": ["read"], "tenant_id": "ten_other"}, "tenant_id"),
    ],
    ids=str,
)
async def test_bad_input_is_refused_by_name_and_makes_nothing(
    tenant: Tenant, fields: dict[str, Any], field: str
) -> None:
    refused = await tenant.http.post("/v1/keys", json=fields)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    assert field in {each["field"] for each in refused.json()["errors"]}
    assert len((await tenant.get("/v1/keys"))["data"]) == 1


async def test_keys_are_listed_page_by_page(tenant: Tenant) -> None:
    expected = [(await made(tenant, name=str(number)))["id"] for number in range(4)][::-1]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await tenant.get("/v1/keys?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        found += [key["id"] for key in page["data"]]
        cursor = page["next_cursor"]
    assert found == [*expected, tenant.key_id]
    assert refusal(await tenant.http.get("/v1/keys?cursor=bad")) == (422, "invalid_input", ["cursor"])


async def test_a_tenant_has_as_many_keys_as_it_may(service: Service, tenant: Tenant) -> None:
    tenants = PostgresTenants(service.database)
    await tenants.set_limits(tenant.id, {"max_api_keys": 2}, by=Actor("an operator"))
    key = await made(tenant)
    body = {"scopes": ["read"]}
    assert refusal(await tenant.http.post("/v1/keys", json=body))[:2] == (403, "too_many_api_keys")
    await tenant.http.delete(f"/v1/keys/{key['id']}")
    await made(tenant)


async def test_another_tenants_key_is_like_none(service: Service, tenant: Tenant) -> None:
    other = await service.tenant()
    for key_id in (other.key_id, "0" * 16, "nothing", "%00"):
        for method, body in (("GET", None), ("PATCH", {"name": "mine"}), ("DELETE", None)):
            answer = await tenant.http.request(method, f"/v1/keys/{key_id}", json=body)
            assert refusal(answer) == (404, "api_key_not_found", [])
    assert (await other.get(f"/v1/keys/{other.key_id}"))["name"] == ""


async def test_all_of_it_needs_the_scope_and_the_webhooks_scope_has_two_names(service: Service) -> None:
    every = await service.tenant(scopes=[scope for scope in Scope if scope is not Scope.WRITE_KEYS])
    for method, path in (("POST", "/v1/keys"), ("GET", "/v1/keys"), ("DELETE", f"/v1/keys/{every.key_id}")):
        body = {"scopes": ["read"]} if method == "POST" else None
        assert (await every.http.request(method, path, json=body)).status_code == 403
    for scope in (Scope.MANAGE_WEBHOOKS, Scope.WRITE_WEBHOOKS):
        one = await service.tenant(scopes=[scope, Scope.WRITE_KEYS])
        assert (await one.http.get("/v1/webhook-endpoints")).status_code == 200
        both = {"scopes": ["webhooks:manage", "webhooks:write"]}
        assert (await one.http.post("/v1/keys", json=both)).status_code == 201

"""What one tenant may do: how often, how much at once, with which credits."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from tests.integration.api.pictures import PICTURE
from tests.integration.api.service import PRICE, Service, Tenant, unique
from tests.support.eventually import eventually

OPERATOR = Actor("an operator", "a test")


async def limited(service: Service, **limits: float) -> Tenant:
    tenant = await service.tenant()
    await PostgresTenants(service.database).set_limits(tenant.id, limits, by=OPERATOR)
    return tenant


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_requests_beyond_the_rate_are_refused_and_nothing_else(service: Service) -> None:
    tenant = await limited(service, create_burst=2, creates_per_second=0.01)
    key = unique("key")
    first = (await tenant.post("a door", key=key)).json()
    await tenant.posted("a gate")

    refused = await tenant.post("a wall", key=unique("key"))
    assert refusal(refused) == (429, "rate_limited")
    assert 0 < int(refused.headers["retry-after"]) <= 100
    assert refused.headers["ratelimit-policy"] == '"create";q=2;w=200'
    assert refused.headers["ratelimit"] == f'"create";r=0;t={refused.headers["retry-after"]}'
    for again in (await tenant.post("a wall"), await tenant.http.post("/v1/files", files={"file": b"x"})):
        assert refusal(again) == (429, "rate_limited")
    assert await service.generations_of(tenant) == 2

    # A repeat, reading and canceling go on.
    replayed = await tenant.post("a door", key=key)
    assert (replayed.status_code, replayed.json()["id"]) == (202, first["id"])
    assert (await tenant.http.get("/v1/generations")).status_code == 200
    assert (await tenant.http.post(f"/v1/generations/{first['id']}/cancel")).status_code in (202, 409)
    other = await service.tenant()
    assert (await other.post("a door")).status_code == 202


async def test_a_key_on_what_is_no_repeat_gives_no_requests_away(service: Service) -> None:
    tenant = await limited(service, create_burst=3, creates_per_second=0.01)
    await tenant.post("a door", key="used")
    keyed = {"Idempotency-Key": "any"}
    for answer, status in (
        (await tenant.post("another door", key="used"), 422),
        (await tenant.http.post("/v1/generations", json={"model": 1}, headers=keyed), 422),
        (await tenant.http.post("/v1/generations", json={"model": 1}, headers=keyed), 429),
        (await tenant.post("another door", key="used"), 429),
        (await tenant.post("a door", key="x" * 300), 429),
        (await tenant.http.post("/v1/files", files={"file": b"x"}, headers=keyed), 429),
    ):
        assert answer.status_code == status, answer.text
    assert (await tenant.post("a door", key="used")).status_code == 202


async def test_uploads_with_a_key_are_counted(service: Service) -> None:
    tenant = await limited(service, create_burst=1, creates_per_second=0.01)
    keyed = {"Idempotency-Key": "any"}
    statuses = [
        (await tenant.http.post("/v1/files", files={"file": PICTURE}, headers=keyed)).status_code
        for _ in range(3)
    ]
    assert statuses == [201, 429, 429]


async def test_a_key_without_the_scope_is_counted(service: Service) -> None:
    tenant = await service.tenant(scopes=[Scope.READ_CREDITS])
    limits = {"read_burst": 1.0, "reads_per_second": 0.01}
    await PostgresTenants(service.database).set_limits(tenant.id, limits, by=OPERATOR)
    assert refusal(await tenant.http.get("/v1/generations")) == (403, "scope_missing")
    assert refusal(await tenant.http.get("/v1/generations")) == (429, "rate_limited")


async def test_repeats_that_come_at_once_are_answered_whatever_the_first_used_up(service: Service) -> None:
    tenant = await service.tenant(credits=PRICE)
    prompt = unique("a bridge")
    answers = await asyncio.gather(*(tenant.post(prompt, key="one") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [
        ("read", "GET", "/v1/generations"),
        ("read", "GET", "/v1/credits"),
        ("read", "GET", "/v1/models"),
        ("read", "GET", "/v1/generations/gen_0/images/0"),
        ("read", "GET", "/v1/files/file_0"),
        ("cancel", "POST", "/v1/generations/gen_0/cancel"),
    ],
)
async def test_every_kind_of_request_has_its_rate(
    service: Service, name: str, method: str, path: str
) -> None:
    tenant = await limited(service, **{f"{name}_burst": 1, f"{name}s_per_second": 0.01})
    first = await tenant.http.request(method, path)
    assert first.status_code in (200, 404)
    assert first.headers["ratelimit"].startswith(f'"{name}";r=0;')
    assert refusal(await tenant.http.request(method, path)) == (429, "rate_limited")


async def test_a_key_may_have_a_rate_of_its_own(service: Service, tenant: Tenant) -> None:
    limits = {"read_burst": 1, "reads_per_second": 0.01}
    key = await PostgresTenants(service.database).create_key(tenant.id, tuple(Scope), limits=limits)
    narrow = await service.client(service.url, key.api_key)
    assert (await narrow.get("/v1/credits")).status_code == 200
    assert refusal(await narrow.get("/v1/credits")) == (429, "rate_limited")
    assert (await tenant.http.get("/v1/credits")).status_code == 200


async def test_open_generations_are_limited_until_some_have_ended(service: Service) -> None:
    tenant = await limited(service, max_open_generations=2)
    open_ids = [(await tenant.posted(unique("a lake [sim:hang]")))["id"] for _ in range(2)]
    key = unique("key")
    refused = await tenant.post("a pond", key=key)
    assert refusal(refused) == (429, "too_many_open_generations")
    assert int(refused.headers["retry-after"]) > 0
    assert await service.generations_of(tenant) == 2

    await tenant.generating(open_ids[0])
    await tenant.http.post(f"/v1/generations/{open_ids[0]}/cancel")
    await tenant.ended(open_ids[0])
    # A refusal has not used up the key.
    accepted = await tenant.post("a pond", key=key)
    assert (accepted.status_code, accepted.headers.get("idempotency-replayed")) == (202, None)
    await tenant.http.post(f"/v1/generations/{open_ids[1]}/cancel")


async def test_waiting_generations_are_limited(service: Service) -> None:
    tenant = await limited(service, max_waiting_generations=0)
    assert refusal(await tenant.post("a pond")) == (429, "too_many_waiting_generations")
    assert await service.generations_of(tenant) == 0


async def test_without_credits_for_the_price_nothing_is_accepted(service: Service) -> None:
    poor = await service.tenant(credits=PRICE)
    key, prompt = unique("key"), unique("a palace")
    job = (await poor.post(prompt, key=key)).json()
    await poor.ended(job["id"])

    refused = await poor.post(unique("another palace"))
    assert refusal(refused) == (402, "insufficient_credits")
    assert await service.generations_of(poor) == 1
    # The balance does not matter to a repeat.
    replayed = await poor.post(prompt, key=key)
    assert (replayed.status_code, replayed.json()["id"]) == (202, job["id"])


async def test_a_price_above_the_balance_fetches_no_image(service: Service) -> None:
    poor = await service.tenant(credits=0)
    data = {"inputs": [f"{service.pictures.origin}/picture"]}
    answer = await poor.http.post("/v1/generations", json={"model": "flux-kontext", "prompt": "x", **data})
    assert refusal(answer) == (402, "insufficient_credits")
    assert await service.count("SELECT count(*) FROM input_files WHERE tenant_id = :id", id=poor.id) == 0


async def test_files_are_limited_in_number_and_bytes(service: Service) -> None:
    for limits in ({"max_files": 1.0}, {"max_file_bytes": 1.0}):
        tenant = await limited(service, **limits)
        assert (await tenant.http.post("/v1/files", files={"file": PICTURE})).status_code == 201
        refused = await tenant.http.post("/v1/files", files={"file": PICTURE})
        assert refusal(refused) == (403, "file_quota_exceeded")
        body = {"model": "flux-kontext", "prompt": "x", "inputs": [f"{service.pictures.origin}/picture"]}
        assert refusal(await tenant.http.post("/v1/generations", json=body)) == (403, "file_quota_exceeded")
        assert await service.generations_of(tenant) == 0


async def test_what_is_canceled_late_again_and_again_is_capped(service: Service) -> None:
    tenant = await limited(service, max_uncharged_credits=2 * PRICE)
    for _ in range(2):
        job = await tenant.posted(unique("a mill [sim:hang]"))
        await tenant.generating(job["id"])
        await tenant.http.post(f"/v1/generations/{job['id']}/cancel")
        ended = await tenant.ended(job["id"])
        assert (ended["status"], ended["cost"]["charged"]) == ("canceled", 0)
        assert ended["cost"]["cancel_after_submit"] == "refund"

    async def is_refused() -> bool:
        return (await tenant.post(unique("a mill"))).status_code == 403

    await eventually(is_refused)
    assert refusal(await tenant.post("a mill")) == (403, "uncharged_cost_exceeded")


async def test_the_catalog_shows_who_pays(tenant: Tenant) -> None:
    models = {model["id"]: model for model in (await tenant.get("/v1/models"))["data"]}
    fal, replicate = models["flux-schnell"], models["replicate-flux-schnell"]
    assert (fal["cancel_after_submit"], fal["moderation"]) == ("refund", "refund")
    assert (replicate["cancel_after_submit"], replicate["moderation"]) == ("charge", "refund")


async def test_a_suspended_tenant_may_do_nothing_until_it_is_resumed(
    service: Service, tenant: Tenant
) -> None:
    tenants = PostgresTenants(service.database)
    assert await tenants.suspend(tenant.id, by=OPERATOR)
    assert not await tenants.suspend(tenant.id, by=OPERATOR)
    for path in ("/v1/credits", "/v1/generations", "/v1/models"):
        assert refusal(await tenant.http.get(path)) == (403, "tenant_suspended")
    assert refusal(await tenant.post("a door")) == (403, "tenant_suspended")
    assert await tenants.resume(tenant.id, by=OPERATOR)
    assert (await tenant.http.get("/v1/credits")).status_code == 200


async def test_a_suspension_is_told_to_genuine_keys_only(service: Service, tenant: Tenant) -> None:
    await PostgresTenants(service.database).suspend(tenant.id, by=OPERATOR)
    wrong = {"Authorization": tenant.http.headers["authorization"] + "x"}
    assert refusal(await tenant.http.get("/v1/credits", headers=wrong)) == (401, "unauthenticated")


async def test_a_key_ends_with_its_lifetime(service: Service, tenant: Tenant) -> None:
    tenants = PostgresTenants(service.database)
    key = await tenants.create_key(tenant.id, tuple(Scope), lifetime=timedelta(days=1))
    http = await service.client(service.url, key.api_key)
    assert (await http.get("/v1/credits")).status_code == 200
    await execute(service, "UPDATE api_keys SET expires_at = now() WHERE id = :id", id=key.key_id)
    assert refusal(await http.get("/v1/credits")) == (401, "unauthenticated")


async def execute(service: Service, statement: str, **values: Any) -> None:
    async with service.database.begin() as session:
        await session.execute(text(statement), values)

"""What a generation would cost and take, and why it would be refused: told without making it."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from adapters.database.tenants import PostgresTenants
from domain.audit import Actor
from domain.auth import Scope
from tests.integration.api.pictures import PICTURE
from tests.integration.api.service import MODEL, PRICE, Service, Tenant

OPERATOR = Actor("an operator", "a test")
PATH = "/v1/generations/estimate"
KONTEXT = {"model": "flux-kontext", "size": None}
# 21 jobs that waited 1 s, took 10 s, 11 s, … and 2 s to store.
COMPLETED = (
    """INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters,
        metadata, n, price_credits, status, stage, created_at, queued_at, storing_at, finished_at)
    SELECT CAST(:tenant AS text) || '_' || n, :tenant, 'f', :model, 'replicate', 'e', 'p', '{}', '{}', 1, 0,
        'completed', 'completed', now() - interval '0.5 s', now(), now() + (n + 11) * interval '1 s',
        now() + (n + 13) * interval '1 s'
    FROM generate_series(0, 20) AS n""",
    """INSERT INTO attempts (generation_id, ordinal, provider, endpoint, state, started_at)
    SELECT id, 1, 'replicate', 'e', 'sending', queued_at + interval '1 s' FROM generations
    WHERE tenant_id = :tenant AND model = :model""",
)


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


async def estimate(tenant: Tenant, **fields: Any) -> dict[str, Any]:
    body = {"model": MODEL, "prompt": "a door", "size": "512x512", **fields}
    response = await tenant.http.post(PATH, json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def refusals(estimated: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["code"], each["field"]) for each in estimated["would_be_refused"]]


async def test_a_request_that_would_be_accepted_is_neither_stored_nor_held(
    service: Service, tenant: Tenant
) -> None:
    estimated = await estimate(tenant, n=2)
    assert (estimated["model"], estimated["price_credits"]) == (MODEL, 2 * PRICE)
    assert refusals(estimated) == []
    assert estimated["expected_seconds"]["typical"] == 3.0
    assert set(estimated["stages"]) == {"queue", "generating", "storing"}
    assert await service.generations_of(tenant) == 0
    assert await tenant.credits() == (100, 0, 0)


async def test_every_field_that_is_wrong_is_named_at_once(tenant: Tenant) -> None:
    estimated = await estimate(tenant, n=99, size="1x1", quality="high", inputs=["file_0"])
    assert {field for code, field in refusals(estimated) if code == "invalid_input"} == {
        "n",
        "size",
        "quality",
        "inputs",
    }
    assert estimated["price_credits"] is None


async def test_what_a_create_says_first_is_said_first(service: Service) -> None:
    """Compare each refusal with what a create with the same body gets."""
    poor = await service.tenant(credits=0)
    await PostgresTenants(service.database).set_limits(poor.id, {"max_open_generations": 0}, by=OPERATOR)
    for body in ({}, {"n": 9}, {"max_cost": 0}, {"model": "gpt-image-2", "size": "1024x1024"}):
        estimated = await estimate(poor, **body)
        created = await poor.post("a door", **body)
        assert estimated["would_be_refused"][0]["code"] == created.json()["code"]
    assert refusals(await estimate(poor, max_cost=0)) == [
        ("max_cost_exceeded", None),
        ("too_many_open_generations", None),
        ("insufficient_credits", None),
    ]


async def test_an_estimate_counts_against_no_limit_but_that_of_reads(
    service: Service, tenant: Tenant
) -> None:
    limits = {"max_open_generations": 1, "create_burst": 1, "creates_per_second": 0.01}
    await PostgresTenants(service.database).set_limits(tenant.id, limits, by=OPERATOR)
    for _ in range(3):
        assert refusals(await estimate(tenant)) == []
    assert (await tenant.post("a door")).status_code == 202

    busy = await service.tenant()
    await PostgresTenants(service.database).set_limits(
        busy.id, {"read_burst": 1, "reads_per_second": 0.01}, by=OPERATOR
    )
    await estimate(busy)
    refused = await busy.http.post(PATH, json={"model": MODEL, "prompt": "a door"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["ratelimit-policy"].startswith('"read"')


async def test_no_address_of_an_input_is_fetched_and_no_data_stored(service: Service, tenant: Tenant) -> None:
    connections = service.pictures.connections
    for source in (f"{service.pictures.origin}/a.png", "data:image/png;base64,AAAA"):
        assert refusals(await estimate(tenant, inputs=[source], **KONTEXT)) == []
    assert service.pictures.connections == connections
    assert await service.count("SELECT count(*) FROM input_files WHERE tenant_id = :id", id=tenant.id) == 0


async def test_stored_files_are_checked_and_others_are_unknown(service: Service, tenant: Tenant) -> None:
    upload = await tenant.http.post("/v1/files", files={"file": ("a.png", PICTURE, "image/png")})
    file_id = upload.json()["id"]
    assert refusals(await estimate(tenant, inputs=[file_id], **KONTEXT)) == []
    assert ("invalid_input", "inputs.0") in refusals(await estimate(tenant, inputs=["file_0"], **KONTEXT))
    assert ("invalid_input", "inputs.0") in refusals(await estimate(tenant, inputs=["a word"], **KONTEXT))
    stranger = await service.tenant()
    assert ("invalid_input", "inputs.0") in refusals(await estimate(stranger, inputs=[file_id], **KONTEXT))


async def test_a_webhook_that_a_create_would_refuse_is_among_the_reasons(tenant: Tenant) -> None:
    address = {"webhook_url": "https://example.com/told"}
    assert refusals(await estimate(tenant, **address)) == [("invalid_input", "webhook_url")]
    created = await tenant.http.post("/v1/generations", json={"model": MODEL, "prompt": "a door", **address})
    assert created.json()["errors"][0]["field"] == "webhook_url"

    only_events = await estimate(tenant, webhook_events=["generation.completed"])
    assert refusals(only_events) == [("invalid_input", "webhook_events")]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "no-such", "prompt": "a door"}, 404, "model_not_found"),
        ({"model": MODEL}, 422, "invalid_input"),
        ({"model": MODEL, "prompt": "a door", "secret_field": "x"}, 422, "invalid_input"),
    ],
)
async def test_what_cannot_be_read_is_refused_as_ever(
    tenant: Tenant, body: dict[str, Any], status: int, code: str
) -> None:
    refused = await tenant.http.post(PATH, json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_broken_json_and_a_key_that_may_not_create_are_refused(service: Service) -> None:
    tenant = await service.tenant()
    headers = {"Content-Type": "application/json"}
    broken: httpx.Response = await tenant.http.post(PATH, content=b'{"model":', headers=headers)
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_input")
    reader = await service.tenant(scopes=[Scope.READ_GENERATIONS])
    refused = await reader.http.post(PATH, json={"model": MODEL, "prompt": "a door"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


async def test_durations_come_from_jobs_that_completed(service: Service, tenant: Tenant) -> None:
    """Let another tenant have made the jobs: what is told is of all of them together."""
    other, model = await service.tenant(), "replicate-flux-schnell"
    async with service.database.begin() as session:
        for statement in COMPLETED:
            await session.execute(text(statement), {"tenant": other.id, "model": model})
    estimated = await estimate(tenant, model=model, size=None)
    assert ("model_unavailable", None) in refusals(estimated)
    assert estimated["expected_seconds"] == {"typical": 3.0, "p50": 23.5, "p95": 32.5, "samples": 21}
    assert estimated["stages"] == {
        "queue": {"p50": 1.0, "p95": 1.0},
        "generating": {"p50": 20.0, "p95": 29.0},
        "storing": {"p50": 2.0, "p95": 2.0},
    }

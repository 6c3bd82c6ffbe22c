"""What a client and an operator can read: lists, credits, models, health, metrics."""

import time

from sqlalchemy import text

from adapters.database.generations import PostgresGenerations
from tests.integration.api.service import PRICE, Service, Tenant, listening, serving, unique
from tests.support.requests import request

DEAD = "127.0.0.1:1"


async def test_the_list_continues_by_cursor(tenant: Tenant) -> None:
    posted = [(await tenant.posted(unique("a page")))["id"] for _ in range(5)]
    seen: list[str] = []
    path: str | None = "/v1/generations?limit=2"
    sizes: list[int] = []

    while path is not None and len(sizes) < len(posted):
        page = await tenant.get(path)
        sizes.append(len(page["data"]))
        seen += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
        path = None if cursor is None else f"/v1/generations?limit=2&cursor={cursor}"

    assert seen == posted[::-1]
    assert sizes == [2, 2, 1]
    for generation_id in posted:
        await tenant.ended(generation_id)
    assert len((await tenant.get("/v1/generations?status=completed"))["data"]) == 5
    assert (await tenant.get("/v1/generations?status=failed"))["data"] == []


async def test_every_credit_is_accounted_for(tenant: Tenant) -> None:
    done = await tenant.ended((await tenant.posted(unique("a coin"), n=3))["id"])
    failed = await tenant.ended((await tenant.posted(unique("a note [sim:moderation]")))["id"])
    assert (done["status"], failed["status"]) == ("completed", "failed")

    entries = (await tenant.get("/v1/credits/entries"))["data"]

    amounts = [(line["kind"], line["account"], line["amount"]) for line in entries[::-1]]
    assert sorted(amounts[:1]) == [("grant", "available", 100)]
    assert sorted(amounts[1:3]) == [("hold", "available", -3 * PRICE), ("hold", "held", 3 * PRICE)]
    assert sorted(amounts[3:5]) == [("settle", "held", -3 * PRICE), ("settle", "spent", 3 * PRICE)]
    assert sorted(amounts[5:7]) == [("hold", "available", -PRICE), ("hold", "held", PRICE)]
    assert sorted(amounts[7:]) == [("refund", "available", PRICE), ("refund", "held", -PRICE)]
    assert {line["generation_id"] for line in entries} == {None, done["id"], failed["id"]}
    balance = await tenant.get("/v1/credits")
    assert balance == {
        "available": 100 - 3 * PRICE,
        "held": 0,
        "spent": 3 * PRICE,
        "owed": 0,
        "upcoming": 0,
        "next_expiry": None,
        "thresholds": [],
    }
    first = await tenant.get("/v1/credits/entries?limit=8")
    rest = await tenant.get(f"/v1/credits/entries?limit=8&cursor={first['next_cursor']}")
    assert first["data"] + rest["data"] == entries
    assert rest["next_cursor"] is None


async def test_the_models_say_what_they_take_and_cost(tenant: Tenant) -> None:
    models = {model["id"]: model for model in (await tenant.get("/v1/models"))["data"]}
    assert {"flux-schnell", "flux-dev"} <= models.keys()
    schnell = models["flux-schnell"]
    assert (schnell["provider"], schnell["kind"], schnell["available"]) == ("fal", "text_to_image", True)
    assert schnell["price"]["per_image"] == PRICE
    assert schnell["parameters"]["n"] == {"type": "integer", "minimum": 1, "maximum": 4, "default": 1}
    assert "512x512" in schnell["parameters"]["size"]["enum"]
    assert schnell["inputs"] is None
    assert await tenant.get("/v1/models/flux-schnell") == schnell


async def test_a_model_that_is_off_says_so_and_takes_nothing(service: Service, tenant: Tenant) -> None:
    model = await tenant.get("/v1/models/flux-2-pro")
    refused = await tenant.http.post("/v1/generations", json={"model": "flux-2-pro", "prompt": "a fox"})

    assert (model["available"], model["kinds"][-1], model["inputs"]["max_images"]) == (False, "reference", 8)
    assert (refused.status_code, refused.json()["code"]) == (503, "model_unavailable")
    assert await service.generations_of(tenant) == 0


async def test_health_and_readiness(service: Service) -> None:
    stranger = await service.client(service.url)
    assert (await stranger.get("/healthz")).json() == {"status": "ok"}
    ready = await stranger.get("/readyz")
    dependencies = {"postgres": "ok", "temporal": "ok", "s3": "ok"}
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "dependencies": dependencies})


async def test_metrics_count_by_route_and_hold_no_ids(service: Service, tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a gauge")))["id"])
    page = (await (await service.client(service.internal_url)).get("/metrics")).text

    assert 'darkroom_generations_accepted_total{model="flux-schnell"}' in page
    assert 'darkroom_webhooks_total{outcome="relayed",provider="fal"}' in page
    posts = 'darkroom_http_request_seconds_count{method="POST",route="/v1/generations",status="202"}'
    assert posts in page
    for secret in (job["id"], tenant.id, tenant.key_id):
        assert secret not in page


async def test_without_temporal_a_post_is_accepted_and_kept(service: Service, tenant: Tenant) -> None:
    with listening() as listener:
        port = int(listener.getsockname()[1])
        settings = service.settings.model_copy(update={"temporal_address": DEAD, "api_port": port})
        async with serving(settings, listener):
            key = tenant.http.headers["authorization"].removeprefix("Bearer ")
            http = await service.client(f"http://127.0.0.1:{port}", key)
            body = {"model": "flux-schnell", "prompt": unique("a candle")}
            started = time.monotonic()
            accepted = await http.post("/v1/generations", json=body)
            seconds = time.monotonic() - started
            ready = await http.get("/readyz")

    assert (accepted.status_code, accepted.json()["status"]) == (202, "created")
    assert seconds < 2
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["dependencies"] == {"postgres": "ok", "temporal": "down", "s3": "ok"}
    stored = text("SELECT status FROM generations WHERE id = :id")
    async with service.database.begin() as session:
        row = await session.execute(stored, {"id": accepted.json()["id"]})
        assert row.scalar_one() == "created"
    assert await tenant.credits() == (100, 0, 0)


async def test_a_waiting_generation_shows_since_when_and_how_many_are_ahead(
    service: Service, tenant: Tenant
) -> None:
    provider = unique("nobody")
    first, second = [await standing_still(service, tenant, provider) for _ in range(2)]
    queues = [(await tenant.get(f"/v1/generations/{job}"))["queue"] for job in (first, second)]

    assert [queue["ahead"] for queue in queues] == [0, 1]
    assert queues[0]["since"] < queues[1]["since"]
    assert all(job["queue"] is None for job in (await tenant.get("/v1/generations"))["data"])


async def test_undelivered_images_are_listed_with_the_delivered(service: Service, tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a pair"), n=2))["id"])
    assert (job["undelivered"], job["queue"], job["inputs"], job["mask"]) == ([], None, [], None)
    async with service.database.begin() as session:
        await session.execute(
            text("""UPDATE generations SET undelivered = '[[2, "content_rejected"]]' WHERE id = :id"""),
            {"id": job["id"]},
        )

    told = await tenant.get(f"/v1/generations/{job['id']}")

    assert told["undelivered"] == [{"index": 2, "code": "content_rejected"}]


async def standing_still(service: Service, tenant: Tenant, provider: str) -> str:
    """Return a generation in the queue of a provider without slots."""
    rows = PostgresGenerations(service.database)
    generation, _ = await rows.create(tenant.id, request(provider=provider), None, "fingerprint")
    async with service.database.begin() as session:
        await session.execute(
            text("UPDATE generations SET status = 'queued', stage = 'throttled' WHERE id = :id"),
            {"id": generation.id},
        )
        await session.execute(
            text(
                "INSERT INTO provider_slots (generation_id, ordinal, provider, tenant_id)"
                " VALUES (:id, 1, :provider, :tenant)"
            ),
            {"id": generation.id, "provider": provider, "tenant": tenant.id},
        )
    return generation.id

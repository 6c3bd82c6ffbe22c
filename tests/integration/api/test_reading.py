"""What a client and an operator can read: lists, credits, models, health, metrics."""

import time

from sqlalchemy import text

from tests.integration.api.service import PRICE, Service, Tenant, listening, serving, unique

DEAD = "127.0.0.1:1"


async def test_the_list_goes_on_by_cursor(tenant: Tenant) -> None:
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
    assert balance == {"available": 100 - 3 * PRICE, "held": 0, "spent": 3 * PRICE}
    first = await tenant.get("/v1/credits/entries?limit=8")
    rest = await tenant.get(f"/v1/credits/entries?limit=8&cursor={first['next_cursor']}")
    assert first["data"] + rest["data"] == entries
    assert rest["next_cursor"] is None


async def test_the_models_say_what_they_take_and_cost(tenant: Tenant) -> None:
    models = {model["id"]: model for model in (await tenant.get("/v1/models"))["data"]}
    assert {"flux-schnell", "flux-dev"} <= models.keys()
    schnell = models["flux-schnell"]
    assert (schnell["price_credits"], schnell["largest_n"], schnell["provider"]) == (PRICE, 4, "fal")
    assert "512x512" in schnell["sizes"]
    assert await tenant.get("/v1/models/flux-schnell") == schnell


async def test_health_and_readiness(service: Service) -> None:
    stranger = await service.client(service.url)
    assert (await stranger.get("/healthz")).json() == {"status": "ok"}
    ready = await stranger.get("/readyz")
    dependencies = {"postgres": "ok", "temporal": "ok", "s3": "ok"}
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "dependencies": dependencies})


async def test_metrics_count_by_route_and_hold_no_ids(service: Service, tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a gauge")))["id"])
    page = (await (await service.client(service.url)).get("/metrics")).text

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

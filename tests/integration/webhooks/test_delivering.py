"""From an event to a signed request that both libraries accept."""

import httpx

from tests.integration.api.service import Tenant, unique
from tests.integration.webhooks.client import delivery_ended, endpoint_of
from tests.support.webhook_receiver import Receiver


async def test_the_end_of_a_generation_is_delivered_and_both_libraries_verify_it(
    tenant: Tenant, receiver: Receiver
) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/ends"))
    job = await tenant.posted(unique("a fox that is told of"), metadata={"order": "7"})
    ended = await tenant.ended(job["id"])
    [received] = await receiver.got("/ends")

    body = received.verified_by(endpoint.secret)
    assert body["type"] == "generation.completed"
    assert body["data"]["generation_id"] == job["id"]
    told = body["data"]["generation"]
    assert (told["status"], told["cost"]["charged"], told["metadata"]) == ("completed", 1, {"order": "7"})
    link, shown = told["images"][0]["url"], {name: ended[name] for name in told}
    for links in (told["images"][0], shown["images"][0]):
        assert links.pop("url").startswith(f"{ended['urls']['self']}/images/0?signature=")
    assert told == shown | {"urls": {"self": ended["urls"]["self"]}}
    assert b"a fox that is told of" not in received.body
    async with httpx.AsyncClient(trust_env=False) as anybody:
        image = await anybody.get(link, follow_redirects=True)
    assert image.status_code == 200
    delivery = await delivery_ended(tenant, received.id)
    assert (delivery["status"], delivery["attempts"]) == ("succeeded", 1)
    [attempt] = delivery["log"]
    assert (attempt["response_status"], attempt["error_code"]) == (204, None)


async def test_a_single_job_is_told_of_at_its_own_address(tenant: Tenant, receiver: Receiver) -> None:
    url = receiver.url("/of-one-job")
    refused = await tenant.post(unique("a fox without a secret"), webhook_url=url)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "webhook_url"
    made = (await tenant.http.post("/v1/webhook-secret/rotate")).json()
    job = await tenant.posted(
        unique("a fox of its own"),
        webhook_url=url,
        webhook_events=["generation.queued", "generation.completed"],
    )

    received = await receiver.got("/of-one-job", 2)

    types = {each.verified_by(made["secret"])["type"] for each in received}
    assert types == {"generation.queued", "generation.completed"}
    assert {each.json["data"]["generation_id"] for each in received} == {job["id"]}
    shown = await tenant.get("/v1/webhook-secret")
    assert made["secret"].rstrip("=").endswith(shown["secret_hint"])
    page = await tenant.get(f"/v1/webhook-endpoints/{shown['endpoint_id']}/deliveries")
    assert {each["id"] for each in page["data"]} == {each.id for each in received}


async def test_an_endpoint_gets_only_what_it_wants(tenant: Tenant, receiver: Receiver) -> None:
    wanted = ["images.stored", "credits.settled"]
    endpoint = await endpoint_of(tenant, receiver.url("/some"), event_types=wanted)
    other = await endpoint_of(tenant, receiver.url("/ends-only"))
    job = await tenant.posted(unique("a fox for two endpoints"))
    await tenant.ended(job["id"])
    await receiver.got("/ends-only")
    received = await receiver.got("/some", 2)

    assert sorted(each.verified_by(endpoint.secret)["type"] for each in received) == sorted(wanted)
    [end] = receiver.at("/ends-only")
    assert end.verified_by(other.secret)["type"] == "generation.completed"
    numbers = {each.json["type"]: each.json["data"]["number"] for each in [*received, end]}
    assert len(set(numbers.values())) == 3


async def test_a_ping_is_signed_and_logged_like_any_other(tenant: Tenant, receiver: Receiver) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/ping"))
    sent = await tenant.http.post(f"/v1/webhook-endpoints/{endpoint.id}/ping")
    assert sent.status_code == 202
    [received] = await receiver.got("/ping")

    body = received.verified_by(endpoint.secret)
    assert (body["type"], received.id) == ("webhook_endpoint.ping", sent.json()["id"])
    assert (await delivery_ended(tenant, received.id))["status"] == "succeeded"


async def test_a_failed_job_is_told_of_with_its_reason(tenant: Tenant, receiver: Receiver) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/failed"))
    job = await tenant.posted(unique("a fox [sim:content_policy]"))
    [received] = await receiver.got("/failed")

    body = received.verified_by(endpoint.secret)
    told = body["data"]["generation"]
    assert (body["type"], told["id"]) == ("generation.failed", job["id"])
    assert told["error"] == (await tenant.ended(job["id"]))["error"]

"""What a client does with its endpoints: secrets, sending again, deleting, and what is refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from standardwebhooks import WebhookVerificationError

from adapters.database.audit import audit_events
from domain.auth import Scope
from tests.integration.api.service import Service, Tenant, unique
from tests.integration.webhooks.client import (
    deliveries_of,
    delivery_ended,
    endpoint_of,
    endpoint_view,
    pinged,
)
from tests.support.eventually import eventually
from tests.support.webhook_receiver import OK, Receiver, hanging, responding

_UNKNOWN = "whe_0123456789ab0123456789ab01234567"
_ROUTES = [
    ("GET", "/v1/webhook-endpoints/{endpoint}", None),
    ("PATCH", "/v1/webhook-endpoints/{endpoint}", {"description": "mine"}),
    ("POST", "/v1/webhook-endpoints/{endpoint}/rotate-secret", None),
    ("POST", "/v1/webhook-endpoints/{endpoint}/enable", None),
    ("POST", "/v1/webhook-endpoints/{endpoint}/ping", None),
    ("POST", "/v1/webhook-endpoints/{endpoint}/resend", {"since": "2026-01-15T12:00:00Z"}),
    ("GET", "/v1/webhook-endpoints/{endpoint}/deliveries", None),
    ("GET", "/v1/deliveries/{delivery}", None),
    ("POST", "/v1/deliveries/{delivery}/resend", None),
    ("DELETE", "/v1/webhook-endpoints/{endpoint}", None),
]


async def test_after_a_rotation_both_secrets_verify_for_a_day(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/rotates"))
    rotated = (await tenant.http.post(f"/v1/webhook-endpoints/{endpoint.id}/rotate-secret")).json()
    until = datetime.fromisoformat(rotated["previous_secret_until"]) - datetime.now(UTC)
    assert timedelta(hours=23) < until <= timedelta(hours=24)
    await delivery_ended(tenant, await pinged(tenant, endpoint))
    [overlapping] = receiver.at("/rotates")
    assert len(overlapping.headers["webhook-signature"].split(" ")) == 2
    overlapping.verified_by(endpoint.secret)
    overlapping.verified_by(rotated["secret"])

    await _run(service, "UPDATE webhook_endpoints SET previous_until = now() WHERE id = :id", endpoint.id)
    await delivery_ended(tenant, await pinged(tenant, endpoint))
    after = receiver.at("/rotates")[1]

    after.verified_by(rotated["secret"])
    with pytest.raises(WebhookVerificationError):
        after.verified_by(endpoint.secret)


async def test_a_secret_is_shown_once_and_kept_sealed(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/shown-once"), description="orders")
    listed = (await tenant.http.get("/v1/webhook-endpoints")).text
    read = (await tenant.http.get(f"/v1/webhook-endpoints/{endpoint.id}")).text

    assert endpoint.id in listed
    assert "orders" in read
    async with service.database.begin() as session:
        query = text("SELECT CAST(webhook_endpoints AS text) FROM webhook_endpoints WHERE id = :id")
        row = str(await session.scalar(query, {"id": endpoint.id}))
    for shown in (listed, read, row):
        assert endpoint.secret.removeprefix("whsec_") not in shown


async def test_one_that_waits_for_its_next_attempt_can_be_sent_now(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    # Its receiver asks for an hour.
    busy = responding(503, "Retry-After: 3600")
    endpoint = await endpoint_of(tenant, receiver.url("/waits", busy, OK))
    delivery_id = await pinged(tenant, endpoint)

    async def has_failed() -> bool:
        return bool((await tenant.get(f"/v1/deliveries/{delivery_id}"))["attempts"] == 1)

    await eventually(has_failed)
    assert (await tenant.http.post(f"/v1/deliveries/{delivery_id}/resend")).status_code == 202

    assert (await delivery_ended(tenant, delivery_id))["status"] == "succeeded"


async def test_one_that_has_ended_can_be_sent_again(tenant: Tenant, receiver: Receiver) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/again"))
    delivery_id = await pinged(tenant, endpoint)
    await delivery_ended(tenant, delivery_id)
    again = await tenant.http.post(f"/v1/deliveries/{delivery_id}/resend")
    assert again.json()["status"] == "pending"
    await receiver.got("/again", 2)

    delivery = await delivery_ended(tenant, delivery_id)
    assert [each["number"] for each in delivery["log"]] == [1, 2]
    assert {each.id for each in receiver.at("/again")} == {delivery_id}


async def test_all_that_was_missed_since_a_moment_is_sent_once(tenant: Tenant, receiver: Receiver) -> None:
    failing = [responding(500)] * 4
    endpoint = await endpoint_of(tenant, receiver.url("/missed", *failing, OK))
    since = datetime.now(UTC).isoformat()
    failed = await tenant.posted(unique("a fox whose receiver is down"))
    [first] = await receiver.got("/missed")
    assert (await delivery_ended(tenant, first.id))["status"] == "exhausted"
    path = f"/v1/webhook-endpoints/{endpoint.id}"
    assert (await tenant.http.patch(path, json={"is_enabled": False})).json()["disabled_reason"] == "client"
    unsent = await tenant.posted(unique("a fox nobody is told of"))
    await tenant.ended(unsent["id"])
    refused = await tenant.http.post(f"{path}/resend", json={"since": since})
    assert refused.json()["code"] == "webhook_endpoint_disabled"
    await tenant.http.post(f"{path}/enable")

    resent = (await tenant.http.post(f"{path}/resend", json={"since": since})).json()
    assert resent == {"started": 2, "is_complete": True}
    received = (await receiver.got("/missed", 6))[4:]
    assert {each.json["data"]["generation_id"] for each in received} == {failed["id"], unsent["id"]}
    for each in received:
        assert (await delivery_ended(tenant, each.id))["status"] == "succeeded"
    repeated = (await tenant.http.post(f"{path}/resend", json={"since": since})).json()
    assert repeated == {"started": 0, "is_complete": True}
    assert len(await deliveries_of(tenant, endpoint.id, status="succeeded")) == 2


async def test_a_deleted_endpoint_gets_nothing_more(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    busy = responding(503, "Retry-After: 3600")
    endpoint = await endpoint_of(tenant, receiver.url("/deleted", busy, OK))
    delivery_id = await pinged(tenant, endpoint)
    await receiver.got("/deleted")
    assert (await tenant.http.delete(f"/v1/webhook-endpoints/{endpoint.id}")).status_code == 204

    delivery = await delivery_ended(tenant, delivery_id)
    assert delivery["status"] == "canceled"
    assert (await tenant.http.get(f"/v1/webhook-endpoints/{endpoint.id}")).status_code == 404
    left = "SELECT count(*) FROM webhook_endpoints WHERE id = :id AND secret = '' AND url = ''"
    assert await service.count(left, id=endpoint.id) == 1
    assert len(receiver.at("/deleted")) == 1


async def test_a_changed_url_counts_for_what_is_on_its_way(tenant: Tenant, receiver: Receiver) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/before", responding(500)))
    moved = receiver.url("/after")
    delivery_id = await pinged(tenant, endpoint)
    await receiver.got("/before")
    changed = await tenant.http.patch(f"/v1/webhook-endpoints/{endpoint.id}", json={"url": moved})
    assert changed.json()["url"] == moved

    assert (await delivery_ended(tenant, delivery_id))["status"] == "succeeded"
    assert [each.id for each in receiver.at("/after")] == [delivery_id]


async def test_another_tenants_ids_are_unknown(service: Service, tenant: Tenant, receiver: Receiver) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/mine"))
    delivery_id = await pinged(tenant, endpoint)
    await delivery_ended(tenant, delivery_id)
    stranger = await service.tenant()
    for method, path, body in _ROUTES:
        theirs = await stranger.http.request(
            method, path.format(endpoint=endpoint.id, delivery=delivery_id), json=body
        )
        unknown = await stranger.http.request(
            method, path.format(endpoint=_UNKNOWN, delivery=_UNKNOWN), json=body
        )
        assert theirs.status_code == unknown.status_code == 404, path
        assert theirs.json() == unknown.json()
    assert len(receiver.at("/mine")) == 1
    assert (await stranger.http.get("/v1/webhook-endpoints")).json() == {"data": []}
    assert (await stranger.http.get("/v1/webhook-secret")).status_code == 404
    assert (await endpoint_view(tenant, endpoint))["description"] == ""


@pytest.mark.parametrize(("method", "path", "body"), [*_ROUTES, ("GET", "/v1/webhook-secret", None)])
async def test_every_call_needs_the_scope(
    service: Service, method: str, path: str, body: dict[str, str] | None
) -> None:
    needed = (Scope.MANAGE_WEBHOOKS, Scope.WRITE_WEBHOOKS)
    others = await service.tenant(scopes=[each for each in Scope if each not in needed])
    refused = await others.http.request(method, path.format(endpoint=_UNKNOWN, delivery="x"), json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://[::1]/"}, "url"),
        ({"url": "https://user:pass@example.com/"}, "url"),
        ({"url": "https://example.com/#part"}, "url"),
        ({"url": "https://example.com/" + "x" * 2048}, "url"),
        ({"url": "https://example.com/", "event_types": ["generation.exploded"]}, "event_types"),
        ({"url": "https://example.com/", "event_types": ["delivery.failed"]}, "event_types"),
        ({"url": "https://example.com/", "event_types": ["x"] * 51}, "event_types"),
        ({"url": "https://example.com/", "description": "x" * 501}, "description"),
        ({"url": "https://example.com/", "colour": "red"}, "colour"),
    ],
)
async def test_what_is_wrong_with_an_endpoint_is_named_and_leaves_nothing(
    tenant: Tenant, body: dict[str, Any], field: str
) -> None:
    refused = await tenant.http.post("/v1/webhook-endpoints", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    assert refused.json()["errors"][0]["field"] == field
    assert "pass@" not in refused.text
    assert "x" * 30 not in refused.text
    assert (await tenant.http.get("/v1/webhook-endpoints")).json() == {"data": []}


async def test_every_change_is_in_the_audit_trail(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    url = receiver.url("/audited")
    endpoint = await endpoint_of(tenant, url)
    path = f"/v1/webhook-endpoints/{endpoint.id}"
    await tenant.http.patch(path, json={"description": "orders"})
    await tenant.http.post(f"{path}/rotate-secret")
    await tenant.http.delete(path)

    trail = [
        event for event in await audit_events(service.database, tenant.id, 10) if event.subject == endpoint.id
    ]
    assert [(event.action, event.details) for event in reversed(trail)] == [
        ("create_webhook_endpoint", {}),
        ("change_webhook_endpoint", {"fields": ["description"]}),
        ("rotate_webhook_secret", {}),
        ("delete_webhook_endpoint", {}),
    ]
    assert {event.actor for event in trail} == {f"key:{tenant.key_id}"}


async def test_a_tenant_has_a_limited_number_of_endpoints(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    limits = """UPDATE tenants SET limits = '{"max_webhook_endpoints": 2}' WHERE id = :id"""
    await _run(service, limits, tenant.id)
    url = receiver.url("/many")
    made = await asyncio.gather(
        *(tenant.http.post("/v1/webhook-endpoints", json={"url": url}) for _ in range(5))
    )
    codes = sorted(response.status_code for response in made)
    assert codes == [201, 201, 403, 403, 403]
    refused = next(response for response in made if response.status_code == 403)
    assert refused.json()["code"] == "too_many_webhook_endpoints"


async def test_a_dead_receiver_of_one_tenant_delays_nobody_else(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    neighbor = await service.tenant()
    dead = await endpoint_of(tenant, receiver.url("/dead", hanging))
    alive = await endpoint_of(neighbor, receiver.url("/alive"))
    waiting = [await pinged(tenant, dead) for _ in range(40)]
    await receiver.got("/dead")
    for _ in range(5):
        await delivery_ended(neighbor, await pinged(neighbor, alive))

    assert len(receiver.at("/alive")) == 5
    still = [(await tenant.get(f"/v1/deliveries/{each}"))["status"] for each in waiting]
    assert "pending" in still
    await tenant.http.delete(f"/v1/webhook-endpoints/{dead.id}")


async def _run(service: Service, statement: str, row_id: str) -> None:
    async with service.database.begin() as session:
        await session.execute(text(statement), {"id": row_id})

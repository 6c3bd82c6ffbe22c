"""Receivers that fail in every way, and what becomes of the delivery and of the endpoint."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.api.service import Service, Tenant
from tests.integration.webhooks.client import delivery_ended, endpoint_of, endpoint_view, pinged
from tests.integration.webhooks.conftest import SCHEDULE_SECONDS
from tests.support.webhook_receiver import (
    OK,
    Receiver,
    Respond,
    closing,
    cut,
    dripping,
    flooding,
    hanging,
    responding,
)

_LARGE_BYTES = 10_000_000


@pytest.mark.parametrize(
    ("respond", "code", "status"),
    [
        pytest.param(hanging, "timeout", None, id="hangs"),
        pytest.param(dripping, "timeout", None, id="drips"),
        pytest.param(closing, "connection_broken", None, id="closes"),
        pytest.param(responding(302, "Location: /elsewhere"), "redirect", 302, id="redirects"),
        pytest.param(responding(304), "redirect", 304, id="not-modified"),
        pytest.param(responding(400, body=b"no\x00\x1bsuch\nthing"), "http_status", 400, id="refuses"),
        pytest.param(responding(500), "http_status", 500, id="fails"),
    ],
)
async def test_a_failure_is_logged_and_tried_again(
    tenant: Tenant, receiver: Receiver, respond: Respond, code: str, status: int | None
) -> None:
    path = f"/{code}-{status}-{tenant.id}"
    endpoint = await endpoint_of(tenant, receiver.url(path, respond, OK))

    delivery = await delivery_ended(tenant, await pinged(tenant, endpoint))

    assert delivery["status"] == "succeeded"
    first, second = delivery["log"]
    assert (first["error_code"], first["response_status"]) == (code, status)
    assert first["excerpt"] == ("no  such thing" if status == 400 else "")
    assert (second["error_code"], second["response_status"]) == (None, 204)
    assert receiver.at("/elsewhere") == []


async def test_every_attempt_has_the_same_id_and_bytes_and_its_own_signature(
    tenant: Tenant, receiver: Receiver
) -> None:
    path = f"/again-{tenant.id}"
    url = receiver.url(path, responding(500), responding(502), OK)
    endpoint = await endpoint_of(tenant, url, event_types=["generation.completed"])
    job = await tenant.posted("a fox that is told of three times")
    received = await receiver.got(path, 3)

    assert len({each.id for each in received}) == len({each.body for each in received}) == 1
    for each in received:
        assert each.verified_by(endpoint.secret)["data"]["generation_id"] == job["id"]
    delivery = await delivery_ended(tenant, received[0].id)
    assert [each["response_status"] for each in delivery["log"]] == [500, 502, 204]


async def test_a_success_counts_however_its_body_ends(tenant: Tenant, receiver: Receiver) -> None:
    for path, respond in (("/floods", flooding(_LARGE_BYTES)), ("/cuts", cut)):
        endpoint = await endpoint_of(tenant, receiver.url(path, respond))
        delivery = await delivery_ended(tenant, await pinged(tenant, endpoint))
        assert (delivery["status"], len(delivery["log"])) == ("succeeded", 1)
        assert len(delivery["log"][0]["excerpt"]) <= 200


async def test_a_delivery_is_given_up_after_the_schedule(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    endpoint = await endpoint_of(tenant, receiver.url("/never", responding(500)))
    delivery = await delivery_ended(tenant, await pinged(tenant, endpoint))

    assert (delivery["status"], delivery["attempts"]) == ("exhausted", len(SCHEDULE_SECONDS))
    assert len(receiver.at("/never")) == len(SCHEDULE_SECONDS)
    assert await _events(service, tenant, "delivery.failed") == [
        {
            "delivery_id": delivery["id"],
            "endpoint_id": endpoint.id,
            "type": "webhook_endpoint.ping",
            "status": "exhausted",
            "attempts": len(SCHEDULE_SECONDS),
            "response_status": 500,
            "error_code": "http_status",
        }
    ]
    view = await endpoint_view(tenant, endpoint)
    assert view["is_enabled"]
    assert view["failing_since"] is not None


@pytest.mark.parametrize("status", [429, 503])
async def test_nothing_is_sent_sooner_than_the_receiver_asks_for(
    tenant: Tenant, receiver: Receiver, status: int
) -> None:
    wants = responding(status, "Retry-After: 2")
    endpoint = await endpoint_of(tenant, receiver.url(f"/asks-for-time-{status}", wants, OK))
    delivery = await delivery_ended(tenant, await pinged(tenant, endpoint))

    first, second = (datetime.fromisoformat(each["at"]) for each in delivery["log"])
    assert (second - first).total_seconds() >= 2


async def test_one_that_is_gone_is_disabled_and_the_others_are_told(
    tenant: Tenant, receiver: Receiver
) -> None:
    gone = await endpoint_of(tenant, receiver.url("/gone", responding(410), OK))
    own_types = ["webhook_endpoint.disabled"]
    other = await endpoint_of(tenant, receiver.url("/others", OK), event_types=own_types)
    delivery = await delivery_ended(tenant, await pinged(tenant, gone))

    assert (delivery["status"], delivery["attempts"]) == ("failed", 1)
    view = await endpoint_view(tenant, gone)
    assert (view["is_enabled"], view["disabled_reason"]) == (False, "gone")
    [told] = await receiver.got("/others")
    body = told.verified_by(other.secret)
    assert body["type"] == "webhook_endpoint.disabled"
    assert body["data"]["facts"] == {"endpoint_id": gone.id, "reason": "gone"}
    refused = await tenant.http.post(f"/v1/webhook-endpoints/{gone.id}/ping")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_endpoint_disabled")

    enabled = await tenant.http.post(f"/v1/webhook-endpoints/{gone.id}/enable")
    assert enabled.json()["is_enabled"]
    assert (await delivery_ended(tenant, await pinged(tenant, gone)))["status"] == "succeeded"


async def test_one_that_does_nothing_but_fail_for_five_days_is_disabled(
    service: Service, tenant: Tenant, receiver: Receiver
) -> None:
    fails = await endpoint_of(tenant, receiver.url("/fails", responding(500)))
    recovers = await endpoint_of(tenant, receiver.url("/recovers", OK))
    await _failing_for(service, fails.id, "4 days 23 hours")
    await _failing_for(service, recovers.id, "6 days")
    await delivery_ended(tenant, await pinged(tenant, fails))
    await delivery_ended(tenant, await pinged(tenant, recovers))
    assert (await endpoint_view(tenant, fails))["is_enabled"]
    assert (await endpoint_view(tenant, recovers))["failing_since"] is None

    await _failing_for(service, fails.id, "5 days")
    delivery = await delivery_ended(tenant, await pinged(tenant, fails))

    view = await endpoint_view(tenant, fails)
    assert (view["is_enabled"], view["disabled_reason"]) == (False, "failing")
    assert (delivery["status"], delivery["attempts"]) == ("canceled", 1)
    assert await _events(service, tenant, "webhook_endpoint.disabled") == [
        {"endpoint_id": fails.id, "reason": "failing"}
    ]


async def test_a_job_url_that_is_gone_disables_nobody_elses(tenant: Tenant, receiver: Receiver) -> None:
    await tenant.http.post("/v1/webhook-secret/rotate")
    for path, respond in (("/dead-job", responding(410)), ("/live-job", OK)):
        job = await tenant.posted("a fox with an address", webhook_url=receiver.url(path, respond))
        await tenant.ended(job["id"])
        [received] = await receiver.got(path)
        delivery = await delivery_ended(tenant, received.id)
        assert delivery["status"] == ("failed" if respond is not OK else "succeeded")


async def _failing_for(service: Service, endpoint_id: str, age: str) -> None:
    statement = (
        "WITH aged AS (UPDATE webhook_endpoints"
        " SET failing_since = now() - CAST(CAST(:age AS text) AS interval)"
        " WHERE id = :id RETURNING 1) SELECT count(*) FROM aged"
    )
    assert await service.count(statement, id=endpoint_id, age=age) == 1


async def _events(service: Service, tenant: Tenant, type: str) -> list[dict[str, Any]]:
    query = text("SELECT data FROM events WHERE tenant_id = :tenant AND type = :type ORDER BY id")
    async with service.database.begin() as session:
        return list((await session.execute(query, {"tenant": tenant.id, "type": type})).scalars())

"""A generation from the POST to its ending, by every way in which a result comes or does not come."""

import asyncio
import hashlib
from io import BytesIO
from typing import Any
from urllib.request import Request, urlopen

import httpx
import pytest
from PIL import Image

from tests.integration.api.service import PRICE, Service, Tenant, unique
from tests.support.eventually import eventually
from tests.support.time_limits import scaled


async def test_a_webhook_completes_a_generation(service: Service, tenant: Tenant) -> None:
    prompt = unique("a lighthouse")
    posted = await tenant.post(prompt, n=2, metadata={"order": "7"})
    assert posted.status_code == 202
    generation_id = posted.json()["id"]
    assert posted.headers["location"] == f"{service.url}/v1/generations/{generation_id}"
    assert posted.headers["retry-after"] == "2"

    job = await tenant.ended(generation_id)

    assert job["status"] == job["stage"] == "completed"
    assert (job["prompt"], job["metadata"], job["error"]) == (prompt, {"order": "7"}, None)
    policies = {"cancel_after_submit": "refund", "moderation": "refund"}
    credits = {"estimated": 2 * PRICE, "reserved": 2 * PRICE, "charged": 2 * PRICE, "refunded": 0}
    assert job["cost"] == credits | policies
    assert [image["index"] for image in job["images"]] == [0, 1]
    assert await service.inbox_rows(generation_id) == 1
    assert await service.fal_log(prompt, "result_served") == [], "a poll brought the result"
    assert await tenant.credits() == (100 - 2 * PRICE, 0, 2 * PRICE)


async def test_images_open_by_signed_address(service: Service, tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a harbour"), output_format="png"))["id"])
    described = job["images"][0]
    stranger = await service.client(service.url)

    redirect = await stranger.get(described["url"])
    assert redirect.status_code == 302
    assert redirect.headers["cache-control"] == "private, no-store"
    content = await stranger.get(redirect.headers["location"])
    assert content.status_code == 200
    assert content.headers["content-type"] == described["content_type"] == "image/png"
    assert hashlib.sha256(content.content).hexdigest() == described["sha256"]
    # The simulator's images have no metadata, so they are served as they came.
    assert described["source_sha256"] == described["sha256"]
    with Image.open(BytesIO(content.content)) as picture:
        assert picture.size == (described["width"], described["height"]) == (512, 512)

    asked = await stranger.head(described["url"])
    assert (asked.status_code, asked.content) == (302, b"")
    facts = await stranger.head(asked.headers["location"])
    assert facts.status_code == 200
    assert int(facts.headers["content-length"]) == described["size_bytes"]


async def test_an_api_key_gets_the_bytes_with_any_client(tenant: Tenant) -> None:
    """Ask as clients do that take their headers along to wherever they are redirected."""
    job = await tenant.ended((await tenant.posted(unique("a pier"), output_format="png"))["id"])
    described = job["images"][0]
    url = described["url"].partition("?")[0]
    headers = {"Authorization": tenant.http.headers["authorization"]}

    def fetch(**more: str) -> tuple[int, dict[str, str], bytes]:
        with urlopen(Request(url, headers=headers | more), timeout=scaled(10)) as response:  # noqa: S310 - ours
            return response.status, dict(response.headers), response.read()

    status, answered, content = await asyncio.to_thread(fetch)
    assert status == 200
    assert hashlib.sha256(content).hexdigest() == described["sha256"]
    assert answered["content-type"] == "image/png"
    assert answered["etag"] == f'"{described["sha256"]}"'

    status, answered, part = await asyncio.to_thread(fetch, Range="bytes=10-19")
    assert (status, part) == (206, content[10:20])
    assert answered["content-range"] == f"bytes 10-19/{len(content)}"

    beyond = await tenant.http.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416
    unchanged = await tenant.http.get(url, headers={"If-None-Match": f'"other", W/{answered["etag"]}'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = await tenant.http.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))


async def test_an_image_stays_shut_without_its_own_signature(service: Service, tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a pier"), n=2))["id"])
    first, second = (image["url"] for image in job["images"])
    path, _, signature = first.partition("?")
    stranger = await service.client(service.url)

    assert (await stranger.get(path)).json()["code"] == "unauthenticated"
    for wrong in (f"{path}?signature=", f"{path}?signature=%00", f"{second.partition('?')[0]}?{signature}"):
        refused = await stranger.get(wrong)
        assert (refused.status_code, refused.json()["code"]) == (401, "signature_invalid")
    missing = await tenant.http.get(f"{path.rpartition('/')[0]}/2")
    assert (missing.status_code, missing.json()["code"]) == (404, "image_not_found")


async def test_polling_completes_a_generation_whose_webhook_is_lost(service: Service, tenant: Tenant) -> None:
    prompt = unique("a ferry [sim:drop_webhook]")
    job = await tenant.ended((await tenant.posted(prompt))["id"])

    assert job["status"] == "completed"
    assert len(job["images"]) == 1
    assert await service.inbox_rows(job["id"]) == 0
    assert await service.fal_log(prompt, "result_served")
    assert len(await service.fal_log(prompt, "submit_accepted")) == 1


async def test_refused_content_fails_and_is_refunded(service: Service, tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a storm [sim:moderation]")))["id"])

    assert job["status"] == "failed"
    assert job["error"]["code"] == "content_rejected"
    assert job["error"]["retryable"] is False
    assert job["images"] == []
    assert (job["cost"]["reserved"], job["cost"]["charged"], job["cost"]["refunded"]) == (PRICE, 0, PRICE)
    assert await tenant.credits() == (100, 0, 0)
    assert await service.transfers(job["id"]) == ["hold", "refund"]


async def test_a_repeated_webhook_counts_once(service: Service, tenant: Tenant) -> None:
    prompt = unique("a buoy [sim:duplicate_webhook=3]")
    job = await tenant.ended((await tenant.posted(prompt))["id"])

    async def delivered() -> bool:
        sent = await service.fal_log(prompt, "webhook_sent")
        return len([entry for entry in sent if entry["status"] == 200]) >= 3

    await eventually(delivered)
    assert job["status"] == "completed"
    assert await service.inbox_rows(job["id"]) == 1
    assert await service.transfers(job["id"]) == ["hold", "settle"]
    assert await tenant.credits() == (100 - PRICE, 0, PRICE)


@pytest.mark.parametrize("fault", ["forged_webhook", "wrong_account", "stale_webhook"])
async def test_a_webhook_that_is_not_genuine_changes_nothing(
    service: Service, tenant: Tenant, fault: str
) -> None:
    prompt = unique(f"a gull [sim:{fault}]")
    job = await tenant.ended((await tenant.posted(prompt))["id"])

    sent = await service.fal_log(prompt, "webhook_sent")
    assert {entry["status"] for entry in sent} == {401}
    assert await service.inbox_rows(job["id"]) == 0
    assert job["status"] == "completed", "polling brings what the webhook could not"


async def test_forged_webhooks_are_refused_and_not_stored(service: Service, tenant: Tenant) -> None:
    generation_id = (await tenant.posted(unique("a whale [sim:hang]")))["id"]
    await tenant.generating(generation_id)
    stranger, url = await service.client(service.url), service.webhook_url(generation_id)
    body = {"request_id": "r", "status": "OK", "payload": {"images": []}}
    signed = {
        "X-Fal-Webhook-Request-Id": "r",
        "X-Fal-Webhook-User-Id": "user-1",
        "X-Fal-Webhook-Timestamp": "1700000000",
        "X-Fal-Webhook-Signature": "00" * 64,
    }
    other = url.replace(generation_id, "gen_other")
    calls: list[tuple[str, dict[str, str]]] = [
        (url, {}),
        (url, signed),
        (url, {**signed, "X-Fal-Webhook-Signature": "not hex"}),
        (url[:-1] + ("0" if url[-1] != "0" else "1"), signed),
        (other, signed),
        (url.replace("/fal/", "/nobody/"), signed),
        (f"{service.url}/v1/webhooks/fal/%00/%00", signed),
    ]
    for address, headers in calls:
        refused = await stranger.post(address, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "signature_invalid"), address
    assert await service.inbox_rows(generation_id) == 0
    assert (await tenant.http.post(f"/v1/generations/{generation_id}/cancel")).status_code == 202
    await tenant.ended(generation_id)


async def test_a_cancel_while_generating_refunds(service: Service, tenant: Tenant) -> None:
    generation_id = (await tenant.posted(unique("an iceberg [sim:hang]")))["id"]
    await tenant.generating(generation_id)
    assert await tenant.credits() == (100 - PRICE, PRICE, 0)

    accepted = await cancel(tenant, generation_id)
    assert accepted.status_code == 202
    job = await tenant.ended(generation_id)

    assert (job["status"], job["images"], job["error"]) == ("canceled", [], None)
    assert await tenant.credits() == (100, 0, 0)
    assert await service.transfers(generation_id) == ["hold", "refund"]
    again = await cancel(tenant, generation_id)
    assert (again.status_code, again.json()["status"]) == (202, "canceled")


@pytest.mark.parametrize("prompt", ["a whole ship", "a wreck [sim:moderation]"])
async def test_a_cancel_after_the_ending_is_too_late(tenant: Tenant, prompt: str) -> None:
    job = await tenant.ended((await tenant.posted(unique(prompt)))["id"])

    late = await cancel(tenant, job["id"])

    assert (late.status_code, late.json()["code"]) == (409, "too_late_to_cancel")
    assert await tenant.get(f"/v1/generations/{job['id']}") == job


async def test_the_workflow_itself_can_be_asked(tenant: Tenant) -> None:
    generation_id = (await tenant.posted(unique("a lagoon [sim:hang]")))["id"]
    await tenant.generating(generation_id)

    async def told() -> dict[str, Any] | None:
        live: dict[str, Any] | None = (await tenant.get(f"/v1/generations/{generation_id}?live=true"))["live"]
        return live

    live = await eventually(told, 20)
    assert live["stage"] == "generating"
    assert live["provider_job_id"]
    await cancel(tenant, generation_id)
    await tenant.ended(generation_id)


async def cancel(tenant: Tenant, generation_id: str) -> httpx.Response:
    return await tenant.http.post(f"/v1/generations/{generation_id}/cancel")

"""What a job tells of itself: its addresses, where it went, and what is in doubt."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.service import MODEL, Service, Tenant, unique
from tests.support.eventually import eventually

FALLBACK = "replicate-flux-schnell"


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    return await service.tenant()


def at_fal(reason: str, *, taken: bool) -> dict[str, Any]:
    return {"ordinal": 1, "model": MODEL, "provider": "fal", "taken": taken, "reason": reason}


# Only fal has credentials here.
NOT_AVAILABLE = {
    "ordinal": 2,
    "model": FALLBACK,
    "provider": "replicate",
    "taken": False,
    "reason": "not_available",
}


async def test_every_address_of_a_job_opens(service: Service, tenant: Tenant) -> None:
    posted = await tenant.posted(unique("a door [sim:latency=2]"), n=2)
    early = await tenant.http.get(posted["urls"]["images"])
    assert (early.json()["data"], int(early.headers["retry-after"]) >= 1) == ([], True)
    job = await tenant.ended(posted["id"])
    base = f"{service.url}/v1/generations/{job['id']}"
    assert job["urls"] == {
        "self": base,
        "cancel": f"{base}/cancel",
        "events": f"{base}/events",
        "images": f"{base}/images",
    }
    assert (await tenant.get(job["urls"]["self"]))["id"] == job["id"]
    assert (await tenant.get(job["urls"]["events"]))["data"]
    response = await tenant.http.get(job["urls"]["images"])
    listed = response.json()
    assert "retry-after" not in response.headers
    assert [image["index"] for image in listed["data"]] == [0, 1]
    assert listed["data"][0]["sha256"] == job["images"][0]["sha256"]
    assert (await tenant.http.post(job["urls"]["cancel"])).status_code == 409


async def test_images_are_listed_to_nobody_else_and_not_once_they_are_erased(
    service: Service, tenant: Tenant
) -> None:
    job = await tenant.ended((await tenant.posted(unique("a door")))["id"])
    stranger = await service.tenant()
    assert (await stranger.http.get(f"/v1/generations/{job['id']}/images")).status_code == 404
    assert (await tenant.http.delete(f"/v1/generations/{job['id']}")).status_code == 204
    assert (await tenant.get(f"/v1/generations/{job['id']}/images"))["data"] == []


async def test_the_routing_is_told_from_the_create_to_the_end(tenant: Tenant) -> None:
    job = await tenant.posted(unique("a door"))
    assert job["routing"] == [at_fal("waiting", taken=False), NOT_AVAILABLE]
    ended = await tenant.ended(job["id"])
    assert ended["routing"] == [at_fal("taken", taken=True), NOT_AVAILABLE]
    assert (ended["submit_unknown"], ended["status"]) == (None, "completed")


async def test_a_list_costs_no_query_for_the_routing(tenant: Tenant) -> None:
    await tenant.posted(unique("a door"))
    [job] = (await tenant.get("/v1/generations"))["data"]
    assert job["routing"] is None


async def test_refused_content_names_why_nothing_else_was_tried(tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a door [sim:moderation]")))["id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "content_rejected")
    assert job["routing"][0]["provider"] == "fal"
    assert job["routing"][1] == NOT_AVAILABLE


async def test_an_ambiguous_submit_says_since_when_and_who_decides(service: Service, tenant: Tenant) -> None:
    job = await tenant.posted(unique("a door [sim:lost_answer] [sim:hang]"))

    async def in_doubt() -> dict[str, Any] | None:
        found = await tenant.get(f"/v1/generations/{job['id']}")
        return found if found["stage"] == "submit_unknown" else None

    found = await eventually(in_doubt, 30)
    told = found["submit_unknown"]
    since, released_at = (datetime.fromisoformat(told[name]) for name in ("since", "released_at"))
    assert told["decided_by"] == ["provider_webhook", "deadline"]
    assert released_at - since == timedelta(seconds=service.settings.deadline_cap_seconds or 0)
    assert datetime.fromisoformat(found["created_at"]) <= since
    assert found["routing"][0] == at_fal("may_be_charged", taken=True)
    [listed] = (await tenant.get("/v1/generations?status=processing"))["data"]
    assert listed["submit_unknown"] == told

    canceled = await tenant.http.post(f"/v1/generations/{job['id']}/cancel")
    assert canceled.status_code == 202
    assert (await tenant.ended(job["id"]))["submit_unknown"] is None

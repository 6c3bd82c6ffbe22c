"""Events as JSON and as streams, through the API, while the service works."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse
from prometheus_client import REGISTRY
from sqlalchemy import text

from domain.auth import Scope
from tests.integration.api.service import Service, Tenant, listening, serving, unique
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

_TERMINAL = "generation.completed"
_STREAM = {"Accept": "text/event-stream"}


async def streamed(
    http: httpx.AsyncClient, path: str, last: str | None = None, *, until: str = _TERMINAL, most: int = 1000
) -> list[ServerSentEvent]:
    """Return a stream's events up to one of that type, or up to so many."""
    headers = {} if last is None else {"Last-Event-ID": last}
    events: list[ServerSentEvent] = []
    async with asyncio.timeout(scaled(30)), aconnect_sse(http, "GET", path, headers=headers) as source:
        assert source.response.status_code == 200, source.response.status_code
        async for event in source.aiter_sse():
            events.append(event)
            if event.event == until or len(events) >= most:
                break
    return events


async def listed(tenant: Tenant, path: str) -> list[dict[str, Any]]:
    """Return all events, page by page."""
    events: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await tenant.get(f"{path}?limit=4" + (f"&cursor={cursor}" if cursor else ""))
        events += page["data"]
        cursor = page["next_cursor"]
    return events


def waiting_requests() -> float:
    return REGISTRY.get_sample_value("darkroom_waiting_requests") or 0.0


def ids(events: Sequence[ServerSentEvent]) -> list[str]:
    return [event.id for event in events]


async def test_a_stream_tells_what_the_list_tells(tenant: Tenant) -> None:
    prompt = unique("a stream")
    job = await tenant.posted(prompt)
    path = f"/v1/generations/{job['id']}/events"
    events = await streamed(tenant.http, path)
    assert events[-1].event == _TERMINAL
    assert [event.json()["number"] for event in events] == list(range(1, len(events) + 1))
    page = await listed(tenant, path)
    assert [event.json() for event in events] == page[: len(events)]
    assert {"attempt.started", "slot.granted", "credits.held", "credits.settled", "images.stored"} <= {
        event.event for event in events
    }
    assert prompt not in str(page)
    assert "http" not in str(page)


async def test_a_client_that_loses_its_connection_all_the_time_misses_nothing(tenant: Tenant) -> None:
    job = await tenant.posted(unique("a lost connection"))
    path = f"/v1/generations/{job['id']}/events"
    events: list[ServerSentEvent] = []
    while not events or events[-1].event != _TERMINAL:
        events += await streamed(tenant.http, path, events[-1].id if events else None, most=2)
    assert [event.json()["number"] for event in events] == list(range(1, len(events) + 1))
    # Now there is nothing to wait for: an EventSource stops at this answer.
    last = (await listed(tenant, path))[-1]["id"]
    ended = await tenant.http.get(path, headers=_STREAM | {"Last-Event-ID": last})
    assert (ended.status_code, ended.content) == (204, b"")


async def test_a_tenants_stream_has_all_its_jobs_in_one_order(tenant: Tenant) -> None:
    first = (await tenant.get("/v1/events"))["last_event_id"]
    reading = asyncio.create_task(streamed(tenant.http, "/v1/events", first, until="none", most=60))
    jobs = [await tenant.posted(unique("one of many")) for _ in range(5)]
    for job in jobs:
        await tenant.ended(job["id"])
    reading_again: list[ServerSentEvent] = []
    while sum(event.event == _TERMINAL for event in reading_again) < len(jobs):
        last = reading_again[-1].id if reading_again else first
        reading_again += await streamed(tenant.http, "/v1/events", last, most=3)
    events = await reading
    assert ids(events) == ids(reading_again)[:60]
    assert len(set(ids(reading_again))) == len(reading_again)
    assert [event["id"] for event in await listed(tenant, "/v1/events")][1:61] == ids(events)
    only = await tenant.get(f"/v1/events?type={_TERMINAL}&limit=500")
    assert {event["generation_id"] for event in only["data"]} == {job["id"] for job in jobs}


async def test_two_processes_tell_the_same_and_one_may_end(service: Service, tenant: Tenant) -> None:
    """A client that is connected to a process that stops goes on at another one."""
    job = await tenant.posted(unique("two processes [sim:hang]"))
    url, path = f"/v1/generations/{job['id']}", f"/v1/generations/{job['id']}/events"
    with listening() as listener:
        port = listener.getsockname()[1]
        key = tenant.http.headers["Authorization"].removeprefix("Bearer ")
        http = await service.client(f"http://127.0.0.1:{port}", key)
        async with serving(service.settings.model_copy(update={"api_port": port}), listener):
            events = await streamed(http, path, until="generation.processing")
            waiting = asyncio.create_task(http.get(f"{url}?wait=60"))
            following = asyncio.create_task(streamed(http, path, events[-1].id))
            await eventually(lambda: waiting_requests() == 2, 10)
    # It stopped: whoever waited got what there was, and streams ended.
    assert (await waiting).json()["status"] == "processing"
    assert await following == []
    assert (await tenant.http.post(f"{url}/cancel")).status_code == 202
    events += await streamed(tenant.http, path, events[-1].id, until="generation.canceled")
    assert [event.json()["number"] for event in events] == list(range(1, len(events) + 1))


async def test_events_that_are_gone_reset_a_stream_and_refuse_a_list(
    service: Service, tenant: Tenant
) -> None:
    job = await tenant.ended((await tenant.posted(unique("gone")))["id"])
    path = f"/v1/generations/{job['id']}/events"
    first, second, *_ = await listed(tenant, path)
    async with service.database.begin() as session:
        await session.execute(
            text("DELETE FROM events WHERE generation_id = :id AND number = 1"), {"id": job["id"]}
        )
    for there in (path, "/v1/events"):
        refused = await tenant.http.get(f"{there}?cursor={first['id']}")
        assert (refused.status_code, refused.json()["code"]) == (410, "events_expired")
        reset = await streamed(tenant.http, there, first["id"], most=1)
        assert (reset[0].event, reset[0].json()["code"]) == ("reset", "events_expired")
    events = await streamed(tenant.http, path, first["id"])
    assert events[1].id == second["id"]
    assert events[-1].event == _TERMINAL


async def test_cursors_that_are_none_of_ours_are_refused(tenant: Tenant) -> None:
    for cursor in ("1", "evt_1", "evt_1_0", f"evt_1_{2**63}", "evt_1_1'", "evt_٣_1"):
        refused = await tenant.http.get("/v1/events", params={"cursor": cursor})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "cursor"), cursor
    refused = await tenant.http.get("/v1/events", headers=_STREAM | {"Last-Event-ID": "none"})
    assert refused.json()["errors"][0]["field"] == "Last-Event-ID"
    expired = await tenant.http.get("/v1/events?cursor=evt_1_1")
    assert (expired.status_code, expired.json()["code"]) == (410, "events_expired")


async def test_another_tenants_cursor_is_like_one_that_never_was(service: Service, tenant: Tenant) -> None:
    other = await service.tenant()
    job = await other.posted(unique("somebody else's"))
    theirs = (await other.get(f"/v1/generations/{job['id']}/events"))["data"][0]["id"]
    refused = await tenant.http.get("/v1/events", params={"cursor": theirs})
    unknown = await tenant.http.get("/v1/events", params={"cursor": "evt_1_1"})
    assert (refused.status_code, refused.content) == (unknown.status_code, unknown.content)
    not_found = await tenant.http.get(f"/v1/generations/{job['id']}/events", headers=_STREAM)
    assert (not_found.status_code, not_found.json()["code"]) == (404, "generation_not_found")


async def test_a_wait_ends_with_the_job(tenant: Tenant) -> None:
    async with asyncio.timeout(scaled(40)):
        job = await tenant.posted(unique("waited for"))
        ended = await tenant.get(f"/v1/generations/{job['id']}?wait=60")
    assert ended["status"] == "completed"


async def test_a_preference_is_applied_and_named(tenant: Tenant) -> None:
    body = {"model": "flux-schnell", "prompt": unique("preferred"), "size": "512x512"}
    done = await tenant.http.post("/v1/generations", json=body, headers={"Prefer": "respond-async, wait=600"})
    assert (done.status_code, done.json()["status"]) == (200, "completed")
    assert done.headers["Preference-Applied"] == "wait=60"
    assert "Retry-After" not in done.headers
    body["prompt"] = unique("not so soon [sim:hang]")
    early = await tenant.http.post("/v1/generations", json=body, headers={"Prefer": "wait=0"})
    assert (early.status_code, early.headers["Preference-Applied"]) == (202, "wait=0")
    ignored = await tenant.http.post("/v1/generations", json=body, headers={"Prefer": "wait=soon"})
    assert ignored.status_code == 202
    assert "Preference-Applied" not in ignored.headers
    refused = await tenant.http.get(f"/v1/generations/{early.json()['id']}?wait=61")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "wait")
    for job in (early, ignored):
        await tenant.http.post(f"/v1/generations/{job.json()['id']}/cancel")


async def test_a_replay_waits_under_its_own_preference(tenant: Tenant) -> None:
    prompt = unique("replayed")
    first = await tenant.post(prompt, "a key")
    body = {"model": "flux-schnell", "prompt": prompt, "size": "512x512"}
    headers = {"Idempotency-Key": "a key", "Prefer": "wait=60"}
    again = await tenant.http.post("/v1/generations", json=body, headers=headers)
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert again.json()["id"] == first.json()["id"]


async def test_a_watch_token_reads_one_job_and_nothing_else(service: Service, tenant: Tenant) -> None:
    job = await tenant.posted(unique("watched"))
    other = await tenant.posted(unique("not watched"))
    made = await tenant.http.post("/v1/watch-tokens", json={"generation_id": job["id"], "ttl_seconds": 60})
    assert made.status_code == 201
    token = made.json()["token"]
    browser = await service.client(service.url)
    events = await streamed(browser, made.json()["events_url"].removeprefix(service.settings.public_url))
    assert events[-1].event == _TERMINAL
    seen = await browser.get(f"/v1/generations/{job['id']}", params={"token": token})
    assert seen.json()["status"] == "completed"
    assert seen.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in (await tenant.http.get("/v1/generations")).headers
    for path in (
        f"/v1/generations/{other['id']}",
        f"/v1/generations/{other['id']}/events",
        "/v1/generations/gen_unknown",
    ):
        refused = await browser.get(path, params={"token": token})
        assert (refused.status_code, refused.json()["code"]) == (401, "signature_invalid"), path
    for path in ("/v1/events", "/v1/generations", "/v1/credits"):
        assert (await browser.get(path, params={"token": token})).status_code == 401, path
    canceled = await browser.post(f"/v1/generations/{job['id']}/cancel", params={"token": token})
    assert canceled.status_code == 401


async def test_watch_tokens_are_refused_for_what_is_not_there(service: Service, tenant: Tenant) -> None:
    other = await service.tenant()
    job = await other.posted(unique("theirs"))
    for generation_id in (job["id"], "gen_unknown", "\0"):
        refused = await tenant.http.post("/v1/watch-tokens", json={"generation_id": generation_id})
        assert refused.status_code in (404, 422), generation_id
    for ttl in (9, 3601):
        body = {"generation_id": job["id"], "ttl_seconds": ttl}
        assert (await other.http.post("/v1/watch-tokens", json=body)).status_code == 422
    writer = await service.tenant(scopes=[Scope.WRITE_GENERATIONS])
    refused = await writer.http.post("/v1/watch-tokens", json={"generation_id": job["id"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")

"""Clients see how far an open job is: in whose queue, what its provider says, and for how long."""

from typing import Any

from tests.integration.api.service import Service, Tenant, unique
from tests.integration.api.test_reading import standing_still
from tests.support.eventually import eventually

FIELDS = {
    "stage",
    "queue",
    "position",
    "percent",
    "logs",
    "updated_at",
    "typical_seconds",
    "elapsed_seconds",
}


async def polled(tenant: Tenant, generation_id: str) -> dict[str, Any]:
    """Wait until the provider was polled; return the job."""

    async def check() -> dict[str, Any] | None:
        job = await tenant.get(f"/v1/generations/{generation_id}")
        return job if job["progress"]["updated_at"] is not None else None

    return await eventually(check, 30)


async def test_a_job_in_the_providers_queue_says_so(service: Service, tenant: Tenant) -> None:
    job = await polled(tenant, (await tenant.posted(unique("a fox that waits [sim:latency=200]")))["id"])
    progress = job["progress"]

    assert progress.keys() == FIELDS
    assert (job["queue"], progress["queue"], progress["position"]) == (None, "provider", 2)
    assert (progress["stage"], progress["percent"], progress["logs"]) == ("generating", None, [])
    # The catalog's estimate, or what other tests have left as history.
    assert progress["typical_seconds"].keys() == {"p50", "p95", "samples"}
    assert progress["typical_seconds"]["p50"] > 0
    assert progress["elapsed_seconds"] > 0
    await tenant.http.post(f"/v1/generations/{job['id']}/cancel")
    assert (await tenant.ended(job["id"]))["progress"] is None


async def test_a_job_at_work_has_the_providers_log_and_its_events_have_not(
    service: Service, tenant: Tenant
) -> None:
    prompt = unique("a fox with a diary [sim:hang]")
    job_id = (await tenant.posted(prompt))["id"]

    async def logged() -> dict[str, Any] | None:
        progress: dict[str, Any] = (await polled(tenant, job_id))["progress"]
        return progress if progress["logs"] else None

    progress = await eventually(logged, 30)
    events = (await tenant.get(f"/v1/generations/{job_id}/events"))["data"]
    polls = [event["data"] for event in events if event["type"] == "attempt.polled"]

    assert (progress["queue"], progress["position"]) == (None, None)
    assert progress["logs"][-1].startswith(" 50%|")
    assert polls[-1]["status"] == "running"
    assert "fox" not in str(events)
    assert [job["progress"] for job in (await tenant.get("/v1/generations"))["data"]] == [None]
    await tenant.http.post(f"/v1/generations/{job_id}/cancel")
    await tenant.ended(job_id)


async def test_a_job_in_our_own_queue_says_so(service: Service, tenant: Tenant) -> None:
    provider = unique("nobody")
    jobs = [await standing_still(service, tenant, provider) for _ in range(2)]
    shown = [(await tenant.get(f"/v1/generations/{job}"))["progress"] for job in jobs]

    assert [(progress["queue"], progress["position"]) for progress in shown] == [("own", 0), ("own", 1)]
    assert {progress["stage"] for progress in shown} == {"throttled"}
    assert {progress["updated_at"] for progress in shown} == {None}
    assert min(progress["elapsed_seconds"] for progress in shown) > 0
